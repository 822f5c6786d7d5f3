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
    /// The HDF5 layout of Keras 1 and 2, "legacy" in Keras 3.
    case keras
  }

  /// A tensor of the file, not yet read.
  public struct Entry: Equatable, Sendable {
    /// The whole path to it: `state_dict.module.classifier.weight`, `conv1/bn/conv1/bn/gamma:0`.
    public let name: String
    /// The element type that reading gives.
    public let elementType: ElementType
    public let shape: Shape
    /// Keras only: the layer that lists it among its weights. `name` is then the layer, `/`, and the weight's name.
    public let layer: String?

    public init(name: String, elementType: ElementType, shape: Shape, layer: String? = nil) {
      self.name = name
      self.elementType = elementType
      self.shape = shape
      self.layer = layer
    }
  }

  public let path: String
  public let format: Format
  /// In the order in which the file has them.
  public let entries: [Entry]
  /// The texts and plain values of the file that are no tensors: safetensors' `__metadata__`, numbers beside a
  /// `state_dict`, attributes of an HDF5 file. In the file's order.
  public let metadata: [(key: String, value: String)]
  private let source: any TensorSource

  /// Opens the file at `path` and reads its directory. What it is, its content says, not its name.
  ///
  /// `ignoreCRC`: take the members of a zip archive whose checksum is wrong (PyTorch can be told to write such).
  public static func open(path: String, ignoreCRC: Bool = false) throws(WeightFormatError) -> WeightFile {
    do throws(WeightFault) {
      let contents = try directory(path: path, ignoreCRC: ignoreCRC)
      var seen = Set<String>()
      for entry in contents.entries where !seen.insert(entry.name).inserted {
        throw .duplicateTensor(entry.name)
      }
      return WeightFile(
        path: path, format: contents.format, entries: contents.entries, metadata: contents.metadata,
        source: contents.source)
    } catch {
      throw WeightFormatError(path: path, fault: error)
    }
  }

  /// The bytes that one call of `tensors` reads at the most: 8 GiB.
  public static let readLimit = 8 << 30

  /// Reads the tensors that `isWanted` says, in the file's order. What no wanted tensor needs is not read.
  public func tensors(where isWanted: (Entry) -> Bool = { _ in true }) throws(WeightFormatError) -> NamedTensors {
    do throws(WeightFault) {
      let wanted = entries.indices.filter { isWanted(entries[$0]) }
      var total = 0
      for index in wanted {
        let bytes = entries[index].shape.count.multipliedReportingOverflow(by: entries[index].elementType.size)
        let sum = total.addingReportingOverflow(bytes.partialValue)
        total = bytes.overflow || sum.overflow ? .max : sum.partialValue
        if total > Self.readLimit { throw .tooLarge(bytes: total, limit: Self.readLimit) }
      }
      var named = NamedTensors()
      for index in wanted {
        let isNew = named.insert(try source.tensor(at: index), named: entries[index].name)
        precondition(isNew, "names were checked on opening")
      }
      return named
    } catch {
      throw WeightFormatError(path: path, fault: error)
    }
  }

  /// Reads the tensor of `entries[index]` alone. In the file's order each storage is read once; in another order, a storage
  /// that several tensors view may be read again.
  public func tensor(at index: Int) throws(WeightFormatError) -> HostTensor {
    do throws(WeightFault) {
      let entry = entries[index]
      let (bytes, overflow) = entry.shape.count.multipliedReportingOverflow(by: entry.elementType.size)
      guard !overflow, bytes <= Self.readLimit else {
        throw .tooLarge(bytes: overflow ? .max : bytes, limit: Self.readLimit)
      }
      let tensor = try source.tensor(at: index)
      precondition(tensor.shape == entry.shape && tensor.elementType == entry.elementType)
      return tensor
    } catch {
      throw WeightFormatError(path: path, fault: error)
    }
  }

  /// The value of a metadata key.
  public func metadata(_ key: String) -> String? { metadata.first { $0.key == key }?.value }
}

/// What is left open behind a `WeightFile`: reads tensors by their places in the directory.
protocol TensorSource: AnyObject {
  /// The tensor of the entry at `index`.
  func tensor(at index: Int) throws(WeightFault) -> HostTensor
}

/// What opening a file of any format gives.
struct WeightDirectory {
  var format: WeightFile.Format
  var entries: [WeightFile.Entry]
  var metadata: [(key: String, value: String)]
  var source: any TensorSource
}

extension WeightFile {
  /// Asks the first bytes what the file is, and the reader of that format for its directory.
  private static func directory(path: String, ignoreCRC: Bool) throws(WeightFault) -> WeightDirectory {
    let reader = try openReader(path: path)
    let head = try reader.bytes(at: 0, count: min(512, reader.size))
    if head.isEmpty { throw .format(.empty) }
    if let fault = recognizeForeign(head) { throw .format(fault) }
    if head.starts(with: [0x50, 0x4B, 0x03, 0x04]) { return try TorchArchive.open(reader, ignoreCRC: ignoreCRC) }
    if head.starts(with: KerasFile.signature) { return try KerasFile.open(path: path) }
    // A header length of under 2³² and then '{': no other format of ours begins so.
    if head.count < 9 || (head[4..<8].allSatisfy { $0 == 0 } && head[8] == UInt8(ascii: "{")) {
      return try Safetensors.open(reader)
    }
    throw .format(.unknown(firstBytes: Array(head.prefix(8))))
  }

  /// The kinds of files that people give by mistake, by their first bytes.
  private static func recognizeForeign(_ head: [UInt8]) -> FormatFault? {
    if head.starts(with: [0x80, 0x02, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19]) {
      return .torchLegacyStream
    }
    if head.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) { return .png }
    if head.count >= 132, head[128..<132].elementsEqual("DICM".utf8) { return .dicom }
    if head.count >= 262, head[257..<262].elementsEqual("ustar".utf8) { return .torchLegacyTar }
    if head.starts(with: "version https://git-lfs".utf8) { return .gitLFSPointer }
    let text = String(
      decoding: head.drop { $0 == 0x20 || $0 == 0x0A || $0 == 0x0D || $0 == 0x09 }.prefix(16), as: UTF8.self
    )
    .lowercased()
    if text.hasPrefix("<!doctype html") || text.hasPrefix("<html") { return .html }
    return nil
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

extension ByteSource where Self: ~Copyable {
  /// `read(at:count:)`, its error as ours.
  borrowing func bytes(at offset: Int, count: Int) throws(WeightFault) -> [UInt8] {
    do throws(PlatformError) {
      return try read(at: offset, count: count)
    } catch {
      throw .platform(error)
    }
  }
}
