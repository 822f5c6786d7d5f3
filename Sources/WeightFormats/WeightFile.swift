import Platform
import Tensors

/// A weight file of another tool, or of ours: its directory is read and checked, its tensors are read when asked for.
///
/// Nothing in the file is trusted: every number is checked before it is used, nothing in it is executed.
public struct WeightFile {
  public enum Format: String, Sendable {
    case safetensors
    /// The zip archive that `torch.save` writes since PyTorch 1.6.
    case torch
    /// The stream that it wrote before: `.pth`, `.pth.tar`.
    case torchStream = "torch-legacy"
    /// The HDF5 layout of Keras 1 and 2, "legacy" in Keras 3.
    case keras
    /// Keras 3: `.weights.h5`, or the `.keras` archive around one.
    case keras3
  }

  /// A tensor of the file, not yet read.
  public struct Entry: Equatable, Sendable {
    /// The whole path to it: `state_dict.module.classifier.weight`, `conv1/bn/conv1/bn/gamma:0`.
    public let name: String
    /// The element type that reading gives.
    public let elementType: ElementType
    public let shape: Shape
    /// PyTorch only: how many elements of the storage lie between neighbours along each axis.
    public let strides: [Int]?
    /// Keras only: the layer whose weight it is. In `keras`, `name` is then the layer, `/`, and the weight's name. In `keras3`,
    /// `name` is a path such as `layers/conv2d_1/vars/0`, and the layer is `layers/conv2d_1` where no name of it is known.
    public let layer: String?
    /// Keras only: its place among the layer's weights, from 0.
    public let place: Int?

    public init(
      name: String, elementType: ElementType, shape: Shape, strides: [Int]? = nil, layer: String? = nil,
      place: Int? = nil
    ) {
      self.name = name
      self.elementType = elementType
      self.shape = shape
      self.strides = strides
      self.layer = layer
      self.place = place
    }
  }

  /// A function or class that a pickle names.
  public struct Global: Equatable, Sendable {
    public let name: String
    let trust: PickleGlobal.Trust?

    /// `weights`, `harmless`, `module`, `unknown` or `dangerous`.
    public var kind: String { trust?.rawValue ?? "weights" }
    public var isUnknown: Bool { trust == .unknown }
    public var isDangerous: Bool { trust == .dangerous }
  }

  public struct Options: Sendable {
    /// Take members of a zip archive whose checksum is wrong (PyTorch can be told to write such).
    public var ignoreCRC: Bool
    /// Read tensors out of objects of unknown classes in a pickle, as plain data; nothing of the classes is run.
    public var allowModulePickle: Bool
    /// List a pickle that names dangerous functions too, instead of refusing it. Nothing of them is run either.
    public var allowDangerousGlobals: Bool

    public init(ignoreCRC: Bool = false, allowModulePickle: Bool = false, allowDangerousGlobals: Bool = false) {
      self.ignoreCRC = ignoreCRC
      self.allowModulePickle = allowModulePickle
      self.allowDangerousGlobals = allowDangerousGlobals
    }
  }

  public let path: String
  public let format: Format
  /// In the order in which the file has them.
  public let entries: [Entry]
  /// The texts and plain values of the file that are no tensors: safetensors' `__metadata__`, numbers beside a
  /// `state_dict`, attributes of an HDF5 file. In the file's order.
  public let metadata: [(key: String, value: String)]
  /// Of a pickle, every function and class that it names, in the order of their first mention.
  public let globals: [Global]
  /// Whether tensors have to be inflated: reading takes longer than writing them again.
  public let isDeflated: Bool
  private let source: any TensorSource

  /// Opens the file at `path` and reads its directory. What it is, its content says, not its name.
  public static func open(path: String, options: Options = Options()) throws(WeightFormatError) -> WeightFile {
    do throws(WeightFault) {
      let contents = try directory(path: path, options)
      var seen = Set<String>()
      for entry in contents.entries where !seen.insert(entry.name).inserted {
        throw .duplicateTensor(entry.name)
      }
      return WeightFile(
        path: path, format: contents.format, entries: contents.entries, metadata: contents.metadata,
        globals: contents.globals, isDeflated: contents.isDeflated, source: contents.source)
    } catch {
      throw WeightFormatError(path: path, fault: error)
    }
  }

  /// Whether the file at `path` begins as HDF5 files do; false where it cannot be read.
  public static func isHDF5(path: String) -> Bool {
    do throws(WeightFault) {
      let reader = try openReader(path: path)
      return try reader.bytes(at: 0, count: min(KerasFile.signature.count, reader.size)) == KerasFile.signature
    } catch {
      return false
    }
  }

  /// Throws what `open` throws where dangerous functions are not allowed.
  public func checkGlobals() throws(WeightFormatError) {
    if let global = globals.first(where: \.isDangerous) {
      throw WeightFormatError(path: path, fault: .pickle(.dangerousGlobal(global.name)))
    }
  }

  /// The bytes that one call of `tensors` reads at the most: 8 GiB.
  public static let readLimit = 8 << 30

  /// Reads the tensors that `isWanted` says, in the file's order. What no wanted tensor needs is not read.
  public func tensors(where isWanted: (Entry) -> Bool = { _ in true }) throws(WeightFormatError) -> NamedTensors {
    let wanted = entries.indices.filter { isWanted(entries[$0]) }
    try checkSize(wanted)
    var named = NamedTensors()
    for index in wanted {
      let isNew = named.insert(try tensor(at: index), named: entries[index].name)
      precondition(isNew, "names were checked on opening")
    }
    return named
  }

  /// Reads the tensor of `entries[index]` alone; several threads may, at once. In the file's order each storage is read once; in another order, a storage
  /// that several tensors view may be read again.
  public func tensor(at index: Int) throws(WeightFormatError) -> HostTensor {
    try checkSize([index])
    do throws(WeightFault) {
      let tensor = try source.tensor(at: index)
      precondition(tensor.shape == entries[index].shape && tensor.elementType == entries[index].elementType)
      return tensor
    } catch {
      throw WeightFormatError(path: path, fault: error)
    }
  }

  private func checkSize(_ indices: [Int]) throws(WeightFormatError) {
    var total = 0
    for index in indices {
      let bytes = entries[index].shape.count.multipliedReportingOverflow(by: entries[index].elementType.size)
      let sum = total.addingReportingOverflow(bytes.partialValue)
      total = bytes.overflow || sum.overflow ? .max : sum.partialValue
      if total > Self.readLimit {
        throw WeightFormatError(path: path, fault: .tooLarge(bytes: total, limit: Self.readLimit))
      }
    }
  }

  /// The value of a metadata key.
  public func metadata(_ key: String) -> String? { metadata.first { $0.key == key }?.value }
}

/// What is left open behind a `WeightFile`: reads tensors by their places in the directory, for several threads at once.
protocol TensorSource: AnyObject {
  /// The tensor of the entry at `index`.
  func tensor(at index: Int) throws(WeightFault) -> HostTensor
}

/// What opening a file of any format gives.
struct WeightDirectory {
  var format: WeightFile.Format
  var entries: [WeightFile.Entry]
  var metadata: [(key: String, value: String)]
  var globals: [WeightFile.Global] = []
  var isDeflated = false
  var source: any TensorSource
}

extension WeightFile {
  /// Asks the first bytes what the file is, and the reader of that format for its directory.
  private static func directory(path: String, _ options: Options) throws(WeightFault) -> WeightDirectory {
    let reader = try openReader(path: path)
    let head = try reader.bytes(at: 0, count: min(512, reader.size))
    if head.isEmpty { throw .format(.empty) }
    if let fault = ForeignFile.recognize(head) { throw .format(fault) }
    if head.starts(with: [0x50, 0x4B, 0x03, 0x04]) {
      let zip = try ZipArchive(reader, ignoreCRC: options.ignoreCRC)
      return KerasArchive.isOne(zip) ? try KerasArchive.open(zip) : try TorchArchive.open(zip, options)
    }
    if let size = TorchStream.signatureSize(in: head) {
      return try TorchStream.open(reader, signatureSize: size, options)
    }
    if head.starts(with: KerasFile.signature) { return try KerasFile.open(reader) }
    // A header length of under 2³² and then '{': no other format of ours begins so.
    if head.count < 9 || (head[4..<8].allSatisfy { $0 == 0 } && head[8] == UInt8(ascii: "{")) {
      return try Safetensors.open(reader)
    }
    throw .format(.unknown(firstBytes: Array(head.prefix(8))))
  }
}

/// `FileReader(path:)`, its error as ours.
func openReader(path: String) throws(WeightFault) -> FileReader {
  do throws(PlatformError) {
    return try FileReader(path: path)
  } catch {
    throw .platform(error)
  }
}

/// Bytes that can be read at offsets: a file, or what another process serves as one.
protocol ByteSource: ~Copyable {
  var size: Int { get }

  /// Exactly `count` bytes from `offset`.
  borrowing func bytes(at offset: Int, count: Int) throws(WeightFault) -> [UInt8]
}

extension FileReader: ByteSource {
  /// `read(at:count:)`, its error as ours.
  borrowing func bytes(at offset: Int, count: Int) throws(WeightFault) -> [UInt8] {
    do throws(PlatformError) {
      return try read(at: offset, count: count)
    } catch {
      throw .platform(error)
    }
  }
}
