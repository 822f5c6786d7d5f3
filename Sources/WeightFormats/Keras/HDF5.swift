import CHDF5
import Foundation
import Platform
import Tensors

/// An object of libhdf5, closed when it is let go.
struct HDF5Handle: ~Copyable {
  let id: hid_t
  private let close: (hid_t) -> herr_t

  /// Takes over what a function of libhdf5 returned; `damaged` where that is an error.
  init(_ id: hid_t, _ doing: @autoclosure () -> String, closing close: @escaping (hid_t) -> herr_t) throws(WeightFault)
  {
    guard id >= 0 else { throw .keras(.damaged(doing: doing())) }
    self.id = id
    self.close = close
  }

  deinit { _ = close(id) }
}

/// libhdf5 as it is asked here: never for plugins, never for locks on the file, one thread at a time.
///
/// What the library reports is checked. The library itself (1.10.8) does not survive every damaged file: some mutations of
/// a sound one end the process with a segmentation fault inside of it, which only a child process could contain.
enum HDF5 {
  /// The library is built without thread safety on Debian: every call of it stands inside.
  static let lock = NSLock()

  /// The file, opened read-only. Locks are not asked for, so that read-only and network file systems work.
  static func open(_ path: String) throws(WeightFault) -> HDF5Handle {
    _ = shim_H5Eset_auto2_off()
    // A filter that is not built in must not load code from HDF5_PLUGIN_PATH.
    guard H5PLset_loading_state(0) >= 0 else { throw .keras(.damaged(doing: "switching plugins off")) }
    let access = try HDF5Handle(H5Pcreate(shim_H5P_FILE_ACCESS()), "preparing to open", closing: H5Pclose)
    guard H5Pset_file_locking(access.id, false, true) >= 0 else { throw .keras(.damaged(doing: "preparing to open")) }
    return try HDF5Handle(H5Fopen(path, shim_H5F_ACC_RDONLY(), access.id), "opening", closing: H5Fclose)
  }

  static func hasAttribute(_ name: String, _ object: borrowing HDF5Handle) -> Bool { H5Aexists(object.id, name) > 0 }

  /// The texts of an attribute: one, or a list; each of fixed or of variable length. Nil where there is none of that name.
  static func texts(_ name: String, of object: borrowing HDF5Handle) throws(WeightFault) -> [String]? {
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
    else { throw .keras(.malformedAttribute(name)) }
    let texts =
      H5Tis_variable_str(type.id) > 0
      ? variableTexts(attribute, type, space, count: count) : fixedTexts(attribute, type, count: count, size: size)
    guard let texts else { throw .keras(.malformedAttribute(name)) }
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
  static func members(of group: borrowing HDF5Handle, _ path: String, limit: Int) throws(WeightFault) -> [String] {
    var information = H5G_info_t()
    guard H5Gget_info(group.id, &information) >= 0 else { throw .keras(.damaged(doing: "listing /\(path)")) }
    guard information.nlinks <= limit else { throw .keras(.tooManyObjects(limit: limit)) }
    var names: [String] = []
    for index in 0..<information.nlinks {
      var buffer = [CChar](repeating: 0, count: 1024)
      let length = H5Lget_name_by_idx(
        group.id, ".", H5_INDEX_NAME, H5_ITER_INC, index, &buffer, buffer.count, shim_H5P_DEFAULT())
      guard length > 0, length < buffer.count,
        let name = String(validating: buffer[..<length].map(UInt8.init(bitPattern:)), as: UTF8.self), name != ".",
        name != ".."
      else { throw .keras(.damaged(doing: "listing /\(path)")) }
      names.append(name)
    }
    return names
  }
}

/// A dataset of plain numbers, checked but not read.
struct HDF5Dataset {
  let path: String
  let shape: Shape
  /// As it is read: half precision widens to F32, integers to I64.
  let elementType: ElementType

  /// A declared size over a thousand times of what is stored is a lie: zlib does not pack more.
  private static let ratioLimit = 1100
  /// gzip (1), shuffle (2) and fletcher32 (3) are built in.
  private static let knownFilters = 1...3

  init(_ dataset: borrowing HDF5Handle, path: String) throws(WeightFault) {
    let type = try HDF5Handle(H5Dget_type(dataset.id), "the type of \(path)", closing: H5Tclose)
    let space = try HDF5Handle(H5Dget_space(dataset.id), "the extent of \(path)", closing: H5Sclose)
    let creation = try HDF5Handle(H5Dget_create_plist(dataset.id), "the layout of \(path)", closing: H5Pclose)
    guard H5Pget_external_count(creation.id) == 0, H5Pget_layout(creation.id) != H5D_VIRTUAL else {
      throw .keras(.foreignStorage(path))
    }
    for index in 0..<max(0, H5Pget_nfilters(creation.id)) {
      var flags: UInt32 = 0
      var count = 0
      let filter = H5Pget_filter2(creation.id, UInt32(index), &flags, &count, nil, 0, nil, nil)
      guard Self.knownFilters.contains(Int(filter)) else { throw .keras(.unknownFilter(path, filter: Int(filter))) }
    }
    let size = H5Tget_size(type.id)
    switch H5Tget_class(type.id) {
    case H5T_FLOAT where size == 8: elementType = .float64
    case H5T_FLOAT where size == 4 || size == 2: elementType = .float32
    case H5T_INTEGER where size <= 8: elementType = .int64
    default: throw .keras(.unsupportedType(path))
    }
    let rank = Int(H5Sget_simple_extent_ndims(space.id))
    var extents = [hsize_t](repeating: 0, count: max(0, rank))
    guard (0...16).contains(rank), rank == 0 || H5Sget_simple_extent_dims(space.id, &extents, nil) == rank,
      let shape = Shape(checking: extents.map { Int(exactly: $0) ?? -1 })
    else { throw .keras(.damaged(doing: "the extent of \(path)")) }
    let (declared, overflow) = shape.count.multipliedReportingOverflow(by: size)
    let stored = Int(exactly: H5Dget_storage_size(dataset.id)) ?? .max
    guard !overflow, declared / Self.ratioLimit <= stored, stored > 0 || declared == 0 else {
      throw .keras(.bomb(path, declared: overflow ? .max : declared, stored: stored))
    }
    self.path = path
    self.shape = shape
  }

  /// Reads the numbers.
  func read(from file: borrowing HDF5Handle) throws(WeightFault) -> HostTensor {
    let dataset = try HDF5Handle(H5Dopen2(file.id, path, shim_H5P_DEFAULT()), "opening \(path)", closing: H5Dclose)
    let memoryType: hid_t
    switch elementType {
    case .float64: memoryType = shim_H5T_NATIVE_DOUBLE()
    case .int64: memoryType = shim_H5T_NATIVE_INT64()
    default: memoryType = shim_H5T_NATIVE_FLOAT()
    }
    var bytes = [UInt8](repeating: 0, count: shape.count * elementType.size)
    guard H5Dread(dataset.id, memoryType, shim_H5S_ALL(), shim_H5S_ALL(), shim_H5P_DEFAULT(), &bytes) >= 0 else {
      throw .keras(.damaged(doing: "reading \(path)"))
    }
    return HostTensor(elementType: elementType, shape: shape, bytes: bytes)
  }
}
