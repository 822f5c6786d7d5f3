import CHDF5
import Tensors

/// A dataset of plain numbers, checked but not read.
struct HDF5Dataset: Equatable {
  let path: String
  let shape: Shape
  /// As it is read: integers widen to I64. Keras stores BF16 as bytes without a meaning (an opaque type), and an attribute that says
  /// so.
  let elementType: ElementType
  /// Where in the file the numbers stand just as they are read, in one piece; nil where libhdf5 has to make them.
  let address: Int?

  /// Bytes of one dataset in memory at the most: half of what the process may use (`HDF5Worker.memory`).
  static let byteLimit = 512 << 20

  /// A declared size over a thousand times of what is stored is a lie: zlib does not pack more.
  private static let ratioLimit = 1100
  /// gzip (1) and shuffle (2): what Keras and h5repack are asked for.
  private static let knownFilters = 1...2

  init(_ dataset: borrowing HDF5Handle, path: String) throws(KerasFault) {
    let type = try HDF5Handle(hdf5.H5Dget_type(dataset.id), "the type of \(path)", closing: hdf5.H5Tclose)
    let space = try HDF5Handle(hdf5.H5Dget_space(dataset.id), "the extent of \(path)", closing: hdf5.H5Sclose)
    let plainAddress = hdf5_plain_address(dataset.id)
    // Asked for only where something may be strange: it is slow.
    if plainAddress < 0 { try Self.checkStorage(of: dataset, path) }
    let size = hdf5.H5Tget_size(type.id)
    switch hdf5.H5Tget_class(type.id) {
    case H5T_FLOAT where size == 8: elementType = .float64
    case H5T_FLOAT where hdf5.H5Tequal(type.id, HDF5.float16) > 0: elementType = .float16
    case H5T_FLOAT where size == 4 || size == 2: elementType = .float32
    case H5T_INTEGER where size <= 8: elementType = .int64
    case H5T_OPAQUE where size == 2:
      guard try HDF5.texts("dtype", of: dataset) == ["bfloat16"] else { throw .unsupportedType(path) }
      elementType = .bfloat16
    default: throw .unsupportedType(path)
    }
    let rank = Int(hdf5.H5Sget_simple_extent_ndims(space.id))
    var extents = [hsize_t](repeating: 0, count: max(0, rank))
    guard (0...16).contains(rank), rank == 0 || hdf5.H5Sget_simple_extent_dims(space.id, &extents, nil) == rank,
      let shape = Shape(checking: extents.map { Int(exactly: $0) ?? -1 })
    else { throw .damaged(doing: "the extent of \(path)") }
    let (declared, overflow) = shape.count.multipliedReportingOverflow(by: size)
    let stored = Int(exactly: hdf5.H5Dget_storage_size(dataset.id)) ?? .max
    guard !overflow, declared / Self.ratioLimit <= stored, stored > 0 || declared == 0 else {
      throw .bomb(path, declared: overflow ? .max : declared, stored: stored)
    }
    self.path = path
    self.shape = shape
    let isSame = elementType == .bfloat16 || hdf5.H5Tequal(type.id, Self.memoryType(elementType)) > 0
    address = isSame && stored == declared ? Int(exactly: plainAddress).flatMap { $0 < 0 ? nil : $0 } : nil
  }

  private static func checkStorage(of dataset: borrowing HDF5Handle, _ path: String) throws(KerasFault) {
    let creation = try HDF5Handle(
      hdf5.H5Dget_create_plist(dataset.id), "the layout of \(path)", closing: hdf5.H5Pclose)
    guard hdf5.H5Pget_external_count(creation.id) == 0, hdf5.H5Pget_layout(creation.id) != H5D_VIRTUAL else {
      throw .foreignStorage(path)
    }
    for index in 0..<max(0, hdf5.H5Pget_nfilters(creation.id)) {
      var flags: UInt32 = 0
      var count = 0
      let filter = hdf5.H5Pget_filter2(creation.id, UInt32(index), &flags, &count, nil, 0, nil, nil)
      guard knownFilters.contains(Int(filter)) else { throw .unknownFilter(path, filter: Int(filter)) }
    }
  }

  /// What libhdf5 calls the numbers in memory.
  private static func memoryType(_ type: ElementType) -> hid_t {
    switch type {
    case .float64: hdf5.H5T_IEEE_F64LE_g
    case .float16: HDF5.float16
    case .int64: hdf5.H5T_STD_I64LE_g
    default: hdf5.H5T_IEEE_F32LE_g
    }
  }

  /// Bytes of the numbers in memory; nil where they do not fit in 64 bits.
  var byteCount: Int? {
    let (bytes, overflow) = shape.count.multipliedReportingOverflow(by: elementType.size)
    return overflow ? nil : bytes
  }

  /// Reads the numbers, in C order, little-endian.
  func read(from file: borrowing HDF5Handle) throws(KerasFault) -> [UInt8] {
    let dataset = try HDF5Handle(hdf5.H5Dopen2(file.id, path, hdf5_default), "opening \(path)", closing: hdf5.H5Dclose)
    // libhdf5 writes as many numbers as the dataset has now: a file that changes under us must not change them.
    guard try HDF5Dataset(dataset, path: path) == self else { throw .damaged(doing: "opening \(path)") }
    guard let byteCount, byteCount <= Self.byteLimit else {
      throw .tooLarge(path, bytes: byteCount ?? .max, limit: Self.byteLimit)
    }
    let ownType = try HDF5Handle(hdf5.H5Dget_type(dataset.id), "the type of \(path)", closing: hdf5.H5Tclose)
    let memoryType = elementType == .bfloat16 ? ownType.id : Self.memoryType(elementType)
    var status: herr_t = -1
    let bytes = [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
      status = hdf5.H5Dread(
        dataset.id, memoryType, hdf5_everything, hdf5_everything, hdf5_default, buffer.baseAddress)
      count = status >= 0 ? byteCount : 0
    }
    guard status >= 0 else { throw .damaged(doing: "reading \(path)") }
    return bytes
  }
}
