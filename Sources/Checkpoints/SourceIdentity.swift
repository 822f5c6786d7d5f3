import Platform
import WeightFormats

/// Which file weights were imported from: by its digest, and whether it is one that is known.
struct SourceIdentity {
  var sha256: String
  var known: KnownFile?

  /// What stands in a checkpoint's header until the digest is known.
  static let unknown = SourceIdentity(sha256: CheckpointWriter.unknownDigest)

}

/// The identity of a file, found beside the work on its tensors: it is hashed on other threads.
///
/// `cancel` before it is let go, whatever happened.
struct PendingIdentity {
  private let path: String
  private let sha256: PendingDigest
  private var md5: PendingDigest?

  /// Begins to hash the file at `path`.
  init(path: String) {
    self.path = path
    sha256 = PendingDigest(.sha256, ofFile: path)
  }

  /// Begins whatever else identifies a file like this one.
  mutating func begin(for file: WeightFile) {
    // Keras publishes MD5s, of files that have its first names.
    if file.entries.contains(where: { $0.layer == "conv1/conv" }) { md5 = PendingDigest(.md5, ofFile: path) }
  }

  /// Waits for it.
  func value() throws(CheckpointError) -> SourceIdentity {
    do throws(PlatformError) {
      let sha256 = try sha256.value()
      return SourceIdentity(sha256: sha256, known: KnownFile.find(sha256: sha256, md5: try md5?.value()))
    } catch {
      throw .platform(error)
    }
  }

  func cancel() {
    sha256.cancel()
    md5?.cancel()
  }
}
