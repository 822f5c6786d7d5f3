import CHDF5
import Foundation
import CHDF5Shim

/// An object of libhdf5, closed when it is let go.
struct HDF5Handle: ~Copyable {
  let id: hid_t
  private let close: (hid_t) -> herr_t

  /// Takes over what a function of libhdf5 returned; `damaged` where that is an error.
  init(_ id: hid_t, _ doing: @autoclosure () -> String, closing close: @escaping (hid_t) -> herr_t) throws(KerasFault) {
    guard id >= 0 else { throw .damaged(doing: doing()) }
    self.id = id
    self.close = close
  }

  deinit { _ = close(id) }
}

/// libhdf5 as it is asked here: in a confined process of its own (`HDF5Worker`), never for plugins, one thread.
///
/// What the library reports is checked. The library itself (1.10.8) does not survive every damaged file: some mutations of
/// a sound one end the process with a segmentation fault inside of it.
enum HDF5 {
  /// The file behind `descriptor`, opened read-only.
  static func open(descriptor: Int32) throws(KerasFault) -> HDF5Handle {
    _ = shim_H5Eset_auto2_off()
    // A filter that is not built in must not load code from HDF5_PLUGIN_PATH.
    guard H5PLset_loading_state(0) >= 0 else { throw .damaged(doing: "switching plugins off") }
    let file = try HDF5Handle(hdf5_shim_open_descriptor(descriptor), "opening", closing: H5Fclose)
    let creation = try HDF5Handle(H5Fget_create_plist(file.id), "opening", closing: H5Pclose)
    var userBlock: hsize_t = 0
    guard H5Pget_userblock(creation.id, &userBlock) >= 0 else { throw .damaged(doing: "opening") }
    guard userBlock == 0 else { throw .userBlock(bytes: Int(clamping: userBlock)) }
    return file
  }

  static func hasAttribute(_ name: String, _ object: borrowing HDF5Handle) -> Bool { H5Aexists(object.id, name) > 0 }

  /// The texts of an attribute: one, or a list; each of fixed or of variable length. Nil where there is none of that name.
  static func texts(_ name: String, of object: borrowing HDF5Handle) throws(KerasFault) -> [String]? {
    guard hasAttribute(name, object) else { return nil }
    let attribute = try HDF5Handle(H5Aopen(object.id, name, shim_H5P_DEFAULT()), "opening \(name)", closing: H5Aclose)
    let type = try HDF5Handle(H5Aget_type(attribute.id), "the type of \(name)", closing: H5Tclose)
    let space = try HDF5Handle(H5Aget_space(attribute.id), "the extent of \(name)", closing: H5Sclose)
    let count = Int(H5Sget_simple_extent_npoints(space.id))
    let size = Int(H5Tget_size(type.id))
    // An empty list is written as an attribute of floats.
    if count == 0 { return [] }
    guard H5Tget_class(type.id) == H5T_STRING, (1...textLimit).contains(count), (1...textLimit).contains(size),
      count * size <= textLimit
    else { throw .malformedAttribute(name) }
    let texts =
      H5Tis_variable_str(type.id) > 0
      ? variableTexts(attribute, type, space, count: count) : fixedTexts(attribute, type, count: count, size: size)
    guard let texts else { throw .malformedAttribute(name) }
    return texts
  }

  /// Bytes of an attribute at the most.
  private static let textLimit = 16 << 20

  private static func fixedTexts(
    _ attribute: borrowing HDF5Handle, _ type: borrowing HDF5Handle, count: Int, size: Int
  ) -> [String]? {
    var bytes = [UInt8](repeating: 0, count: count * size)
    guard H5Aread(attribute.id, type.id, &bytes) >= 0 else { return nil }
    let texts = (0..<count).compactMap { index in
      String(validating: bytes[index * size..<(index + 1) * size].prefix { $0 != 0 }, as: UTF8.self)
    }
    return texts.count == count ? texts : nil
  }

  private static func variableTexts(
    _ attribute: borrowing HDF5Handle, _ type: borrowing HDF5Handle, _ space: borrowing HDF5Handle, count: Int
  ) -> [String]? {
    var pointers = [UnsafeMutablePointer<CChar>?](repeating: nil, count: count)
    guard H5Aread(attribute.id, type.id, &pointers) >= 0 else { return nil }
    let texts = pointers.compactMap { $0.flatMap { String(validatingCString: $0) } }
    _ = H5Dvlen_reclaim(type.id, space.id, shim_H5P_DEFAULT(), &pointers)
    return texts.count == count ? texts : nil
  }

  /// The names of the members of a group, sorted.
  static func members(of group: borrowing HDF5Handle, _ path: String, limit: Int) throws(KerasFault) -> [String] {
    var information = H5G_info_t()
    guard H5Gget_info(group.id, &information) >= 0 else { throw .damaged(doing: "listing /\(path)") }
    guard information.nlinks <= limit else { throw .tooManyObjects(limit: limit) }
    var found = FoundNames(limit: Int(information.nlinks))
    let status = withUnsafeMutablePointer(to: &found) { found in
      shim_H5Literate(
        group.id, { name, context in context?.assumingMemoryBound(to: FoundNames.self).pointee.add(name) ?? -1 }, found)
    }
    guard status == 0, found.names.count == information.nlinks else { throw .damaged(doing: "listing /\(path)") }
    return found.names
  }

  private struct FoundNames {
    let limit: Int
    var names: [String] = []

    /// 0; −1, which ends the listing, where the name is none.
    mutating func add(_ name: UnsafePointer<CChar>?) -> Int32 {
      guard let name, strnlen(name, 1024) < 1024, let text = String(validatingCString: name), !text.isEmpty,
        text != ".",
        text != "..", names.count < limit
      else { return -1 }
      names.append(text)
      return 0
    }
  }
}
