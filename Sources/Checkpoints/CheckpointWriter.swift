import Engine
import Platform
import Tensors
import WeightFormats

/// Writes a checkpoint parameter by parameter, so that no more than one of them need be in memory.
///
/// The digests that the metadata hold are known only in the end; their place in the header is kept free until then.
struct CheckpointWriter: ~Copyable {
  /// As long as the digest that replaces it.
  static let unknownDigest = String(repeating: "0", count: 64)

  private var writer: SafetensorsWriter
  private var digest = MessageDigest(.sha256)

  /// Begins the checkpoint at `path`. Its parameters follow in torchvision's order.
  init(metadata: CheckpointMetadata, to path: String, overwriting: Bool) throws(CheckpointError) {
    let entries = ParameterLayout(metadata.architecture).parameters.map {
      (name: $0.name, elementType: ElementType.float32, shape: $0.shape)
    }
    do throws(PlatformError) {
      writer = try SafetensorsWriter(
        entries: entries, metadata: metadata.texts(tensorDigest: Self.unknownDigest), to: path, overwriting: overwriting
      )
    } catch {
      throw .platform(error)
    }
  }

  /// The values of the next parameter: float32, little-endian, in C order.
  mutating func append(_ bytes: [UInt8]) throws(CheckpointError) {
    bytes.withUnsafeBytes { digest.update($0) }
    do throws(PlatformError) {
      try writer.append(bytes)
    } catch {
      throw .platform(error)
    }
  }

  /// Finishes the file with `metadata`, which may differ from those that it began with in digests only; returns the tensors'
  /// digest.
  consuming func commit(_ metadata: CheckpointMetadata) throws(CheckpointError) -> String {
    let tensorDigest = digest.finish()
    do throws(PlatformError) {
      try writer.commit(metadata: metadata.texts(tensorDigest: tensorDigest))
    } catch {
      throw .platform(error)
    }
    return tensorDigest
  }
}
