import Platform
import Tensors

/// The stream that `torch.save` wrote before PyTorch 1.6, and still writes without `_use_new_zipfile_serialization`: `.pth`,
/// `.pth.tar` (which is no tar).
///
/// Five pickles, one behind the other: a magic number, the protocol (1001), facts about the writing machine, the object, and
/// the keys of the storages in order; then for each key the number of elements (8 bytes, little-endian) and the elements
/// (torch/serialization.py, `_legacy_save`; the numbers are little-endian on every machine).
enum TorchStream {
  /// The magic number 0x1950A86A20F9469CFC6C as the first pickle has it: a LONG1 of ten bytes, and its end.
  private static let magic: [UInt8] = [0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E]

  /// Bytes of the first pickle, where `head` begins with it: PROTO, from protocol 4 on a FRAME, and the number.
  static func signatureSize(in head: [UInt8]) -> Int? {
    guard head.count > 2, head[0] == 0x80, (2...5).contains(head[1]) else { return nil }
    let start = head[2] == 0x95 ? 11 : 2
    return head.dropFirst(start).starts(with: magic) ? start + magic.count : nil
  }

  private static let protocolNumber = 1001
  private static let pickleLimit = 16 << 20

  /// Reads and checks the pickles, and finds every storage.
  static func open(
    _ reader: consuming FileReader, signatureSize: Int, _ options: WeightFile.Options
  ) throws(WeightFault) -> WeightDirectory {
    let file = FileBytes(reader)
    var offset = signatureSize
    let number = try pickle(file, &offset)
    guard number.value == .integer(protocolNumber) else {
      throw .torch(.unknownStream(reason: "its protocol is not \(protocolNumber)"))
    }
    // The writing machine's byte order and sizes, which do not matter.
    let system = try pickle(file, &offset)
    guard case .dictionary = system.value else {
      throw .torch(.unknownStream(reason: "the facts about the writing machine are no dictionary"))
    }
    var (value, heap) = try pickle(file, &offset)
    let list = try pickle(file, &offset)
    // PyTorch would have run what any of them asks for.
    for other in [number, system, list] { heap.note(other.heap.globals) }
    if !options.allowDangerousGlobals { try heap.refuseDangerousGlobals() }
    let keys = try keys(list)
    let tree = try TorchTree(value, heap: heap)
    let storages = StreamedStorages(file, blocks: try blocks(keys, of: heap, in: file, from: offset))
    for leaf in tree.leaves where storages.blocks[leaf.tensor.storage.key] == nil {
      throw .torch(.missingRecord(leaf.tensor.storage.key))
    }
    let source = TorchSource(
      storages: storages, leaves: tree.leaves, allowsUnknownGlobals: options.allowModulePickle)
    return WeightDirectory(format: .torchStream, tree: tree, source: source)
  }

  /// The value of the pickle at `offset`, which moves behind it.
  private static func pickle(
    _ file: FileBytes, _ offset: inout Int
  ) throws(WeightFault) -> (value: PickleValue, heap: PickleHeap) {
    let end = min(file.size, offset + pickleLimit)
    let result = try PickleInterpreter.run(
      PickleInput(from: offset, to: end) { offset, count throws(WeightFault) in try file.bytes(at: offset, count: count)
      })
    offset = result.end
    return (result.value, result.heap)
  }

  private static func keys(_ pickle: (value: PickleValue, heap: PickleHeap)) throws(WeightFault) -> [String] {
    guard case .list(let place) = pickle.value else { throw .torch(.unknownStream(reason: "its keys are no list")) }
    var keys: [String] = []
    var seen: Set<String> = []
    for value in pickle.heap.lists[place] {
      guard case .text(let key) = value, seen.insert(key).inserted else {
        throw .torch(.unknownStream(reason: "a key is no text, or stands twice"))
      }
      keys.append(key)
    }
    return keys
  }

  /// Where the bytes of each storage stand: they fill the rest of the file.
  private static func blocks(
    _ keys: [String], of heap: PickleHeap, in file: FileBytes, from start: Int
  ) throws(WeightFault) -> [String: Range<Int>] {
    var sizes: [String: (count: Int, elementSize: Int)] = [:]
    for storage in heap.storages {
      let size = (storage.blockCount, storage.elementSize)
      guard sizes[storage.key].map({ $0 == size }) ?? true else {
        throw .torch(.unknownStream(reason: "storage \(storage.key) has two sizes"))
      }
      sizes[storage.key] = size
    }
    var blocks: [String: Range<Int>] = [:]
    var offset = start
    for key in keys {
      guard let size = sizes[key] else { throw .torch(.unknownStream(reason: "no tensor views storage \(key)")) }
      guard offset + 8 <= file.size else { throw .torch(.truncatedStream(key: key)) }
      var field = ByteReader(try file.bytes(at: offset, count: 8))
      let count = field.integer(Int64.self) ?? -1
      guard count == size.count else {
        throw .torch(.wrongStorageSize(record: key, expected: size.count, found: Int(count)))
      }
      // Overflow was excluded when the pickle named the storage.
      let bytes = size.count * size.elementSize
      guard bytes <= file.size - offset - 8 else { throw .torch(.truncatedStream(key: key)) }
      blocks[key] = offset + 8..<offset + 8 + bytes
      offset += 8 + bytes
    }
    guard offset == file.size else { throw .torch(.trailingBytes(offset: offset, size: file.size)) }
    return blocks
  }
}

/// An open file that several can hold.
final class FileBytes {
  private let reader: FileReader

  init(_ reader: consuming FileReader) { self.reader = reader }

  var size: Int { reader.size }

  func bytes(at offset: Int, count: Int) throws(WeightFault) -> [UInt8] { try reader.bytes(at: offset, count: count) }
}

/// Storages that stand one behind the other in a file.
private final class StreamedStorages: TorchStorages {
  private let file: FileBytes
  let blocks: [String: Range<Int>]

  init(_ file: FileBytes, blocks: [String: Range<Int>]) {
    self.file = file
    self.blocks = blocks
  }

  func block(_ key: String) throws(WeightFault) -> [UInt8] {
    guard let block = blocks[key] else { throw .torch(.missingRecord(key)) }
    return try file.bytes(at: block.lowerBound, count: block.count)
  }

  func part(_ range: Range<Int>, of key: String) throws(WeightFault) -> [UInt8] {
    guard let block = blocks[key] else { throw .torch(.missingRecord(key)) }
    return try file.bytes(at: block.lowerBound + range.lowerBound, count: range.count)
  }
}
