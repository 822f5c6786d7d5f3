import CHDF5
import Foundation

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
  /// The file that stands in `range` of the one behind `descriptor`, opened read-only.
  static func open(descriptor: Int32, range: Range<Int>) throws(KerasFault) -> HDF5Handle {
    hdf5_be_silent()
    // A filter that is not built in must not load code from HDF5_PLUGIN_PATH.
    guard hdf5.H5PLset_loading_state(0) >= 0 else { throw .damaged(doing: "switching plugins off") }
    let file = try HDF5Handle(
      hdf5_open_descriptor(descriptor, UInt64(range.lowerBound), UInt64(range.count)), "opening", closing: hdf5.H5Fclose
    )
    let creation = try HDF5Handle(hdf5.H5Fget_create_plist(file.id), "opening", closing: hdf5.H5Pclose)
    var userBlock: hsize_t = 0
    guard hdf5.H5Pget_userblock(creation.id, &userBlock) >= 0 else { throw .damaged(doing: "opening") }
    guard userBlock == 0 else { throw .userBlock(bytes: Int(clamping: userBlock)) }
    return file
  }

  /// The type of float16, little-endian; made when it is first asked for, by then the library is open.
  static let float16 = hdf5_make_f16le()

  static func hasAttribute(_ name: String, _ object: borrowing HDF5Handle) -> Bool {
    hdf5.H5Aexists(object.id, name) > 0
  }

  /// The texts of an attribute: one, or a list; each of fixed or of variable length. Nil where there is none of that name.
  static func texts(_ name: String, of object: borrowing HDF5Handle) throws(KerasFault) -> [String]? {
    guard hasAttribute(name, object) else { return nil }
    let attribute = try HDF5Handle(
      hdf5.H5Aopen(object.id, name, hdf5_default), "opening \(name)", closing: hdf5.H5Aclose)
    let type = try HDF5Handle(hdf5.H5Aget_type(attribute.id), "the type of \(name)", closing: hdf5.H5Tclose)
    let space = try HDF5Handle(hdf5.H5Aget_space(attribute.id), "the extent of \(name)", closing: hdf5.H5Sclose)
    let count = Int(hdf5.H5Sget_simple_extent_npoints(space.id))
    let size = Int(hdf5.H5Tget_size(type.id))
    // An empty list is written as an attribute of floats.
    if count == 0 { return [] }
    guard hdf5.H5Tget_class(type.id) == H5T_STRING, (1...textLimit).contains(count), (1...textLimit).contains(size),
      count * size <= textLimit
    else { throw .malformedAttribute(name) }
    let texts =
      hdf5.H5Tis_variable_str(type.id) > 0
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
    guard hdf5.H5Aread(attribute.id, type.id, &bytes) >= 0 else { return nil }
    let texts = (0..<count).compactMap { index in
      String(validating: bytes[index * size..<(index + 1) * size].prefix { $0 != 0 }, as: UTF8.self)
    }
    return texts.count == count ? texts : nil
  }

  private static func variableTexts(
    _ attribute: borrowing HDF5Handle, _ type: borrowing HDF5Handle, _ space: borrowing HDF5Handle, count: Int
  ) -> [String]? {
    var pointers = [UnsafeMutablePointer<CChar>?](repeating: nil, count: count)
    guard hdf5.H5Aread(attribute.id, type.id, &pointers) >= 0 else { return nil }
    let texts = pointers.compactMap { $0.flatMap { String(validatingCString: $0) } }
    _ = hdf5.H5Dvlen_reclaim(type.id, space.id, hdf5_default, &pointers)
    return texts.count == count ? texts : nil
  }

  /// The members of a group by their names, sorted, and where they stand; nil where that is said by a name again (soft and external
  /// links).
  static func members(
    of group: borrowing HDF5Handle, _ path: String, limit: Int
  ) throws(KerasFault) -> [(name: String, place: hdf5_place?)] {
    var found = FoundLinks(limit: limit)
    let status = withUnsafeMutablePointer(to: &found) { found in
      hdf5_for_each_link(
        group.id,
        { name, place, context in
          context?.assumingMemoryBound(to: FoundLinks.self).pointee.add(name, place?.pointee) ?? -1
        }, found)
    }
    if found.links.count > limit { throw .tooManyObjects(limit: limit) }
    guard status == 0 else { throw .damaged(doing: "listing /\(path)") }
    return found.links
  }

  private struct FoundLinks {
    let limit: Int
    var links: [(name: String, place: hdf5_place?)] = []

    /// 0; −1, which ends the listing, where the name is none, or is one too many.
    mutating func add(_ name: UnsafePointer<CChar>?, _ place: hdf5_place?) -> Int32 {
      guard let name, strnlen(name, 1024) < 1024, let text = String(validatingCString: name), !text.isEmpty,
        text != ".",
        text != ".."
      else { return -1 }
      links.append((text, place))
      return links.count <= limit ? 0 : -1
    }
  }
}
