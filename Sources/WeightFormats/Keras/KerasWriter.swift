import CHDF5
import Foundation
import Platform
import Tensors

/// Writes the HDF5 file of `save_weights` of Keras 1 and 2, which Keras 3 calls legacy and still loads: the layout that
/// `KerasFile` reads, with fixed-length, null-padded texts, which every version of h5py gives to Keras as bytes.
///
/// libhdf5 makes the file in memory, in the file format of its first versions, as h5py does; it never sees the disk. A write
/// that fails under it (a full disk) leaves it in a state in which it crashes when the process exits (1.10.8). No object has a
/// time, so the same weights always give the same bytes.
public enum KerasWriter {
  /// Bytes of an attribute at the most; a longer list is cut (`HDF5_OBJECT_HEADER_LIMIT` of Keras' legacy_h5_format.py).
  static let attributeLimit = 64_512

  /// Writes `entries` to `path`: whole or not at all.
  ///
  /// Each entry is of F32, and has a layer; entries of one layer stand together, and layers in the order in which Keras has
  /// them, for it loads by order. `metadata` are texts of the root: `backend`, `keras_version`. `tensor` gives the tensor of an
  /// entry when its turn comes. The whole file is in memory until it is written.
  public static func write(
    _ entries: [WeightFile.Entry], metadata: [(key: String, value: String)], to path: String, overwriting: Bool,
    tensor: (Int) -> HostTensor
  ) throws(PlatformError) {
    var file = try AtomicFile(path: path, overwriting: overwriting)
    try file.write(try HDF5Image.make(path, entries, metadata, tensor))
    try file.commit()
  }

  /// `count` texts as consecutive ranges, as few as leave none over the limit, as even as NumPy's `array_split` makes them.
  static func pieces(count: Int, width: Int) -> [Range<Int>] {
    precondition(width <= attributeLimit, "a name of \(width) bytes")
    var pieces = 1
    while (count + pieces - 1) / pieces * width > attributeLimit { pieces += 1 }
    let (size, more) = count.quotientAndRemainder(dividingBy: pieces)
    return (0..<pieces).map { piece in
      let start = piece * size + min(piece, more)
      return start..<start + size + (piece < more ? 1 : 0)
    }
  }
}

/// A file of libhdf5 in memory. Whatever of its calls fails, memory was the reason: nothing here comes from strangers.
private enum HDF5Image {
  /// The library is built without thread safety on Debian: every call of it in this process stands inside, but for those that
  /// ask its version.
  private static let lock = NSLock()

  /// The bytes of the file. `path` is the file that errors name.
  static func make(
    _ path: String, _ entries: [WeightFile.Entry], _ metadata: [(key: String, value: String)],
    _ tensor: (Int) -> HostTensor
  ) throws(PlatformError) -> [UInt8] {
    lock.lock()
    defer { lock.unlock() }
    try HDF5Library.open()
    hdf5_be_silent()
    let file = try create(path)
    var layers: [(name: String, entries: Range<Int>)] = []
    for (index, entry) in entries.enumerated() {
      guard let layer = entry.layer else { preconditionFailure("\(entry.name) has no layer") }
      if layers.last?.name == layer {
        layers[layers.count - 1].entries = layers[layers.count - 1].entries.lowerBound..<index + 1
      } else {
        layers.append((layer, index..<index + 1))
      }
    }
    try writeList(layers.map(\.name), "layer_names", of: file)
    for (key, value) in metadata { try writeText([value], key, isList: false, of: file) }
    let groups = try creation(hdf5.H5P_CLS_GROUP_CREATE_ID_g, path)
    for layer in layers {
      let group = try Object(
        hdf5.H5Gcreate2(file.id, layer.name, hdf5_default, groups.id, hdf5_default), path, closing: hdf5.H5Gclose)
      let names = layer.entries.map { String(entries[$0].name.dropFirst(layer.name.count + 1)) }
      try writeList(names, "weight_names", of: group)
      for (index, name) in zip(layer.entries, names) { try write(tensor(index), name, of: group) }
    }
    try file.check(hdf5.H5Fflush(file.id, H5F_SCOPE_GLOBAL))
    return try bytes(of: file)
  }

  private static func create(_ path: String) throws(PlatformError) -> Object {
    let access = try Object(hdf5.H5Pcreate(hdf5.H5P_CLS_FILE_ACCESS_ID_g), path, closing: hdf5.H5Pclose)
    // Memory grows by a mebibyte at a time, and is not copied to a file on closing.
    try access.check(hdf5.H5Pset_fapl_core(access.id, 1 << 20, false))
    let creation = try creation(hdf5.H5P_CLS_FILE_CREATE_ID_g, path)
    // libhdf5 would read a file of this name into memory first; below a device there can be none.
    return try Object(
      hdf5.H5Fcreate("/dev/null/weights.h5", hdf5_truncating, creation.id, access.id), path, closing: hdf5.H5Fclose)
  }

  private static func bytes(of file: borrowing Object) throws(PlatformError) -> [UInt8] {
    let size = hdf5.H5Fget_file_image(file.id, nil, 0)
    guard size > 0 else { throw Object.failure(file.path) }
    let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
      count = max(0, hdf5.H5Fget_file_image(file.id, buffer.baseAddress, size))
    }
    guard bytes.count == size else { throw Object.failure(file.path) }
    return bytes
  }

  /// A property list for creating objects, without times.
  private static func creation(_ kind: hid_t, _ path: String) throws(PlatformError) -> Object {
    let list = try Object(hdf5.H5Pcreate(kind), path, closing: hdf5.H5Pclose)
    try list.check(hdf5.H5Pset_obj_track_times(list.id, false))
    return list
  }

  // MARK: - Attributes

  /// The attribute `name`, or `name0`, `name1`, … where it is too long for one.
  private static func writeList(_ texts: [String], _ name: String, of object: borrowing Object) throws(PlatformError) {
    let pieces = KerasWriter.pieces(count: texts.count, width: texts.map(\.utf8.count).max() ?? 0)
    for (index, piece) in pieces.enumerated() {
      let name = pieces.count == 1 ? name : name + String(index)
      try writeText(Array(texts[piece]), name, isList: true, of: object)
    }
  }

  private static func writeText(
    _ texts: [String], _ name: String, isList: Bool, of object: borrowing Object
  ) throws(PlatformError) {
    let width = max(1, texts.map(\.utf8.count).max() ?? 0)
    let type = try Object(hdf5.H5Tcopy(hdf5.H5T_C_S1_g), object.path, closing: hdf5.H5Tclose)
    try type.check(hdf5.H5Tset_size(type.id, width))
    try type.check(hdf5.H5Tset_strpad(type.id, H5T_STR_NULLPAD))
    var count = [hsize_t(texts.count)]
    let space = try Object(
      isList ? hdf5.H5Screate_simple(1, &count, nil) : hdf5.H5Screate(H5S_SCALAR), object.path, closing: hdf5.H5Sclose)
    let attribute = try Object(
      hdf5.H5Acreate2(object.id, name, type.id, space.id, hdf5_default, hdf5_default), object.path,
      closing: hdf5.H5Aclose)
    let bytes = texts.flatMap { Array($0.utf8) + [UInt8](repeating: 0, count: width - $0.utf8.count) }
    try attribute.check(hdf5.H5Awrite(attribute.id, type.id, bytes))
  }

  // MARK: - Datasets

  /// `name` may have slashes: groups are made on the way.
  private static func write(
    _ tensor: HostTensor, _ name: String, of group: borrowing Object
  ) throws(PlatformError) {
    precondition(tensor.elementType == .float32, "Keras' weights are F32 here")
    let links = try Object(hdf5.H5Pcreate(hdf5.H5P_CLS_LINK_CREATE_ID_g), group.path, closing: hdf5.H5Pclose)
    try links.check(hdf5.H5Pset_create_intermediate_group(links.id, 1))
    let creation = try creation(hdf5.H5P_CLS_DATASET_CREATE_ID_g, group.path)
    var extents = tensor.shape.extents.map { hsize_t($0) }
    let space = try Object(
      hdf5.H5Screate_simple(Int32(extents.count), &extents, nil), group.path, closing: hdf5.H5Sclose)
    let dataset = try Object(
      hdf5.H5Dcreate2(group.id, name, hdf5.H5T_IEEE_F32LE_g, space.id, links.id, creation.id, hdf5_default),
      group.path, closing: hdf5.H5Dclose)
    try dataset.check(
      hdf5.H5Dwrite(
        dataset.id, hdf5.H5T_IEEE_F32LE_g, hdf5_everything, hdf5_everything, hdf5_default, tensor.bytes))
  }

  /// An object of libhdf5, closed when it is let go.
  private struct Object: ~Copyable {
    let id: hid_t
    /// The file that errors name.
    let path: String
    private let closing: @convention(c) (hid_t) -> herr_t

    /// Takes over what a function of libhdf5 returned.
    init(_ id: hid_t, _ path: String, closing: @convention(c) (hid_t) -> herr_t) throws(PlatformError) {
      guard id >= 0 else { throw Self.failure(path) }
      self.id = id
      self.path = path
      self.closing = closing
    }

    deinit { _ = closing(id) }

    func check(_ result: herr_t) throws(PlatformError) {
      if result < 0 { throw Self.failure(path) }
    }

    static func failure(_ path: String) -> PlatformError { .writeFailed(path: path, errno: ENOMEM) }
  }
}
