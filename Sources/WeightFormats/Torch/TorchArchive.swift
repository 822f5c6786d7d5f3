import Platform
import Tensors

/// The zip archive that `torch.save` writes since PyTorch 1.6: in one folder, `data.pkl` (the object, its tensors as views of
/// storages), `data/<key>` (the storages), and a few small records.
enum TorchArchive {
  private static let pickleLimit = 16 << 20

  /// Reads and checks the directory, the pickle and the storages' sizes.
  static func open(_ zip: ZipArchive, _ options: WeightFile.Options) throws(WeightFault) -> WeightDirectory {
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
    if !options.allowDangerousGlobals { try heap.refuseDangerousGlobals() }
    let tree = try TorchTree(value, heap: heap)
    for leaf in tree.leaves {
      let record = root + "data/" + leaf.tensor.storage.key
      guard let size = zip.size(of: record) else { throw .torch(.missingRecord(record)) }
      guard size == leaf.tensor.storage.blockByteCount else {
        throw .torch(.wrongStorageSize(record: record, expected: leaf.tensor.storage.blockByteCount, found: size))
      }
    }
    let source = TorchSource(
      storages: ArchivedStorages(zip: zip, folder: root + "data/"), leaves: tree.leaves, isBigEndian: isBigEndian,
      allowsUnknownGlobals: options.allowModulePickle)
    var directory = WeightDirectory(format: .torch, tree: tree, source: source)
    directory.isDeflated = zip.isDeflated
    return directory
  }

  /// The folder that all records are in, with its slash.
  private static func root(of zip: ZipArchive) throws(WeightFault) -> String {
    func folder(_ name: String) -> String { String(name.prefix { $0 != "/" }) + "/" }
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

extension WeightDirectory {
  /// Of a file of PyTorch, whose object was walked.
  init(format: WeightFile.Format, tree: TorchTree, source: TorchSource) {
    self.init(
      format: format,
      entries: tree.leaves.map {
        WeightFile.Entry(
          name: $0.name, elementType: $0.tensor.elementType, shape: $0.tensor.shape, strides: $0.tensor.strides)
      },
      metadata: tree.scalars,
      globals: tree.heap.globals.map { WeightFile.Global(name: $0.name, trust: $0.global.trust) },
      source: source)
  }
}

/// The records `data/<key>` of an archive.
private final class ArchivedStorages: TorchStorages {
  private let zip: ZipArchive
  private let folder: String

  init(zip: ZipArchive, folder: String) {
    self.zip = zip
    self.folder = folder
  }

  func block(_ key: String) throws(WeightFault) -> [UInt8] {
    guard let bytes = try zip.contents(of: folder + key) else { throw .torch(.missingRecord(folder + key)) }
    return bytes
  }

  func part(_ range: Range<Int>, of key: String) throws(WeightFault) -> [UInt8] {
    guard let bytes = try zip.contents(of: folder + key, in: range) else { throw .torch(.missingRecord(folder + key)) }
    return bytes
  }
}
