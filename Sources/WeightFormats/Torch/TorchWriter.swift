import Platform
import Tensors

/// Writes the zip archive that `torch.save` writes for a `state_dict`: an OrderedDict of tensors on the CPU, each with a
/// storage of its own.
///
/// `data.pkl` has the bytes that PyTorch 2.15 gives it. The records are those that every PyTorch since 1.6 knows. Left out is
/// `.format_version`, by which newer ones may take it that they can compute where the data stand (`calculate_storage_offsets`)
/// instead of looking it up, and `serialization_id`, which would differ from file to file.
public enum TorchWriter {
  /// The folder of all records, as `torch.save` names it where it writes to no path.
  private static let root = "archive/"

  /// Writes `entries`, whose names must differ, to `path`: whole or not at all, and always the same bytes.
  ///
  /// `tensor` gives the tensor of an entry when its turn comes: one tensor's bytes are in flight at a time.
  public static func write(
    _ entries: [WeightFile.Entry], to path: String, overwriting: Bool, tensor: (Int) -> HostTensor
  ) throws(PlatformError) {
    try write(entries, to: try ZipWriter(path: path, overwriting: overwriting), tensor: tensor)
  }

  static func write(
    _ entries: [WeightFile.Entry], to zip: consuming ZipWriter, tensor: (Int) -> HostTensor
  ) throws(PlatformError) {
    try zip.append(root + "data.pkl", pickle(entries))
    try zip.append(root + "byteorder", Array("little".utf8))
    for (index, entry) in entries.enumerated() {
      let tensor = tensor(index)
      precondition(
        tensor.shape == entry.shape && tensor.elementType == entry.elementType, "not the tensor \(entry.name)")
      try zip.append(root + "data/\(index)", tensor.bytes)
    }
    try zip.append(root + "version", Array("3\n".utf8))
    try zip.finish()
  }

  /// The OrderedDict, its tensors as views of the storages `0`, `1`, ….
  static func pickle(_ entries: [WeightFile.Entry]) -> [UInt8] {
    var pickle = PickleWriter()
    orderedDictionary(&pickle)
    pickle.items(count: entries.count) { pickle, index in
      pickle.text(entries[index].name)
      tensor(entries[index], storage: index, &pickle)
    }
    return pickle.finish()
  }

  private static func orderedDictionary(_ pickle: inout PickleWriter) {
    pickle.reduce("collections", "OrderedDict") { $0.tuple([]) }
  }

  /// `_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, backward_hooks)` (torch/_utils.py), where the storage is
  /// `('storage', class, key, location, element count)`.
  private static func tensor(_ entry: WeightFile.Entry, storage key: Int, _ pickle: inout PickleWriter) {
    guard let storage = storageClass(of: entry.elementType) else {
      preconditionFailure("PyTorch has no storage class for \(entry.elementType)")
    }
    pickle.reduce("torch._utils", "_rebuild_tensor_v2") { pickle in
      pickle.tuple(count: 6) { pickle in
        pickle.persistent { pickle in
          pickle.tuple(count: 5) { pickle in
            pickle.internedText("storage")
            pickle.global("torch", storage)
            pickle.text(String(key))
            pickle.internedText("cpu")
            pickle.integer(entry.shape.count)
          }
        }
        pickle.integer(0)
        pickle.tuple(entry.shape.extents)
        pickle.tuple(strides(of: entry.shape))
        pickle.boolean(false)
        orderedDictionary(&pickle)
      }
    }
  }

  /// In elements, of C order. PyTorch counts an axis of no elements as one of one.
  private static func strides(of shape: Shape) -> [Int] {
    var strides = [Int](repeating: 1, count: shape.rank)
    for axis in strides.indices.dropLast().reversed() { strides[axis] = strides[axis + 1] * max(1, shape[axis + 1]) }
    return strides
  }

  /// The class that `torch.save` names for elements of a type; nil for those that it writes in another way.
  private static func storageClass(of type: ElementType) -> String? {
    switch type {
    case .float64: "DoubleStorage"
    case .float32: "FloatStorage"
    case .float16: "HalfStorage"
    case .bfloat16: "BFloat16Storage"
    case .int64: "LongStorage"
    case .int32: "IntStorage"
    case .int16: "ShortStorage"
    case .int8: "CharStorage"
    case .uint8: "ByteStorage"
    case .bool: "BoolStorage"
    case .uint64, .uint32, .uint16: nil
    }
  }
}
