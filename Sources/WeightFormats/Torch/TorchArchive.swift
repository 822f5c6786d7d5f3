import Platform
import Tensors

/// The zip archive that `torch.save` writes since PyTorch 1.6: in one folder, `data.pkl` (the object, its tensors as views of
/// storages), `data/<key>` (the storages), and a few small records.
enum TorchArchive {
  private static let pickleLimit = 64 << 20

  /// Reads and checks the directory, the pickle and the storages' sizes.
  static func open(_ reader: consuming FileReader, ignoreCRC: Bool) throws(WeightFault) -> WeightDirectory {
    let zip = try ZipArchive(reader, ignoreCRC: ignoreCRC)
    let root = try self.root(of: zip)
    let pickleName = root + "data.pkl"
    guard let size = zip.size(of: pickleName) else { throw .torch(.missingRecord(pickleName)) }
    guard size <= pickleLimit else { throw .torch(.recordTooLong(pickleName, bytes: size, limit: pickleLimit)) }
    guard zip.size(of: root + "version") != nil || zip.size(of: root + ".data/version") != nil else {
      throw .torch(.missingRecord(root + "version"))
    }
    let isBigEndian = try self.isBigEndian(zip, root)
    guard let pickle = try zip.contents(of: pickleName) else { throw .torch(.missingRecord(pickleName)) }
    let (value, heap) = try PickleInterpreter.run(pickle)
    var tree = TorchTree(heap: heap)
    try tree.collect(value)
    for (_, tensor) in tree.tensors {
      let record = root + "data/" + tensor.storage.key
      guard let size = zip.size(of: record) else { throw .torch(.missingRecord(record)) }
      guard size == tensor.storage.byteCount else {
        throw .torch(.wrongStorageSize(record: record, expected: tensor.storage.byteCount, found: size))
      }
    }
    return WeightDirectory(
      format: .torch,
      entries: tree.tensors.map { WeightFile.Entry(name: $0, elementType: $1.elementType, shape: $1.shape) },
      metadata: tree.scalars,
      source: TorchSource(
        zip: zip, folder: root + "data/", tensors: tree.tensors.map(\.tensor), isBigEndian: isBigEndian))
  }

  /// The folder that all records are in, with its slash.
  private static func root(of zip: ZipArchive) throws(WeightFault) -> String {
    func folder(_ name: String) -> String { String(name.prefix { $0 != "/" }) + "/" }
    // A Keras 3 archive has no folder; it is named for what it is before the folders are compared.
    if ["metadata.json", "config.json", "model.weights.h5"].allSatisfy({ zip.size(of: $0) != nil }) {
      throw .format(.keras3Archive)
    }
    guard zip.names.contains(where: { $0 == "data.pkl" || $0.hasSuffix("/data.pkl") }), let first = zip.names.first
    else { throw .format(.zipWithoutWeights) }
    let root = folder(first)
    for name in zip.names where folder(name) != root { throw .torch(.severalRoots(root, folder(name))) }
    if zip.size(of: root + "constants.pkl") != nil { throw .format(.torchScript) }
    for name in zip.names where name.lowercased().hasSuffix(".pkl") && name != root + "data.pkl" {
      throw .torch(.hiddenPickle(name))
    }
    return root
  }

  private static func isBigEndian(_ zip: ZipArchive, _ root: String) throws(WeightFault) -> Bool {
    guard let size = zip.size(of: root + "byteorder") else { return false }
    guard size <= 16, let bytes = try zip.contents(of: root + "byteorder") else {
      throw .torch(.unknownByteOrder("of \(size) bytes"))
    }
    switch String(decoding: bytes, as: UTF8.self) {
    case "little": return false
    case "big": return true
    case let text: throw .torch(.unknownByteOrder(text))
    }
  }
}

/// Walks what a pickle built, and names each tensor by the keys on the way to it, joined by dots.
struct TorchTree {
  private static let valueLimit = 200_000
  private static let depthLimit = 32

  let heap: PickleHeap
  private(set) var tensors: [(name: String, tensor: PickleTensor)] = []
  /// Numbers and texts that stand beside a state_dict: `epoch`, `best_loss`.
  private(set) var scalars: [(key: String, value: String)] = []
  private var visited = 0

  init(heap: PickleHeap) { self.heap = heap }

  mutating func collect(_ value: PickleValue, path: [String] = []) throws(WeightFault) {
    visited += 1
    guard visited <= Self.valueLimit, path.count <= Self.depthLimit else {
      throw .torch(.tooManyValues(limit: Self.valueLimit))
    }
    switch value {
    case .tensor(let place):
      tensors.append((path.isEmpty ? "tensor" : path.joined(separator: "."), heap.tensors[place]))
    case .dictionary(let place):
      for (key, value) in heap.dictionaries[place] { try collect(value, path: path + [name(of: key)]) }
    case .list(let place): try collect(heap.lists[place], path)
    case .tuple(let place): try collect(heap.tuples[place], path)
    case .bool(let value): note(String(value), path)
    case .integer(let value): note(String(value), path)
    case .float(let value): note(String(value), path)
    case .text(let value): note(value, path)
    case .none, .bytes, .global, .storage, .inert: break
    }
  }

  private mutating func collect(_ values: [PickleValue], _ path: [String]) throws(WeightFault) {
    for (index, value) in values.enumerated() { try collect(value, path: path + [String(index)]) }
  }

  private mutating func note(_ value: String, _ path: [String]) {
    if path.count == 1 { scalars.append((path[0], value)) }
  }

  private func name(of key: PickleValue) -> String {
    switch key {
    case .text(let text): text
    case .integer(let value): String(value)
    case .none, .bool, .float, .bytes, .tuple, .list, .dictionary, .global, .storage, .tensor, .inert: "?"
    }
  }
}

/// Reads tensors from an open archive: each storage once, and none that no wanted tensor views.
private final class TorchSource: TensorSource {
  private let zip: ZipArchive
  private let folder: String
  private let tensors: [PickleTensor]
  private let isBigEndian: Bool
  /// The storage that was read last: tensors of one storage follow each other.
  private var latest: (key: String, bytes: [UInt8])?

  init(zip: ZipArchive, folder: String, tensors: [PickleTensor], isBigEndian: Bool) {
    self.zip = zip
    self.folder = folder
    self.tensors = tensors
    self.isBigEndian = isBigEndian
  }

  func tensor(at index: Int) throws(WeightFault) -> HostTensor {
    let tensor = tensors[index]
    let key = tensor.storage.key
    if latest?.key != key {
      latest = nil
      guard let bytes = try zip.contents(of: folder + key) else { throw .torch(.missingRecord(folder + key)) }
      latest = (key, bytes)
    }
    return tensor.gather(from: latest?.bytes ?? [], isBigEndian: isBigEndian)
  }
}

extension PickleTensor {
  /// The elements of the view, brought to C order and little-endian.
  fileprivate func gather(from bytes: [UInt8], isBigEndian: Bool) -> HostTensor {
    let size = elementType.size
    var gathered: [UInt8] = []
    gathered.reserveCapacity(shape.count * size)
    if shape.count == 0 {
      // Its offset and strides mean nothing, and may lie anywhere.
    } else if isContiguous {
      gathered += bytes[offset * size..<(offset + shape.count) * size]
    } else {
      // Axes of one element have strides that mean nothing either.
      let axes = (0..<shape.rank).filter { shape[$0] > 1 }
      var index = [Int](repeating: 0, count: shape.rank)
      var place = offset
      for _ in 0..<shape.count {
        gathered += bytes[place * size..<(place + 1) * size]
        // Counts up like an odometer, the last axis fastest.
        for axis in axes.reversed() {
          index[axis] += 1
          place += strides[axis]
          if index[axis] < shape[axis] { break }
          place -= strides[axis] * shape[axis]
          index[axis] = 0
        }
      }
    }
    if isBigEndian, size > 1 {
      for start in stride(from: 0, to: gathered.count, by: size) { gathered[start..<start + size].reverse() }
    }
    return HostTensor(elementType: elementType, shape: shape, bytes: gathered)
  }

  private var isContiguous: Bool {
    var expected = 1
    for axis in (0..<shape.rank).reversed() where shape[axis] != 1 {
      if strides[axis] != expected { return false }
      expected *= shape[axis]
    }
    return true
  }
}
