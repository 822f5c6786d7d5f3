import Platform
import WeightFormats

/// Which file weights were imported from: by its digest, and whether it is one that is known.
struct SourceIdentity {
  var sha256: String
  var known: KnownFile?
}

/// The identity of a file, found beside the work on its tensors: it is hashed on other threads.
///
/// `cancel` before it is let go, whatever happened.
struct PendingIdentity {
  private let digest: PendingDigest
  /// Nil where none identifies the file.
  private var md5: PendingDigest?

  /// Begins to hash the file at `path`.
  init(path: String) {
    digest = PendingDigest(.sha256, ofFile: path)
    // Keras publishes MD5s of HDF5 files.
    md5 = WeightFile.isHDF5(path: path) ? PendingDigest(.md5, ofFile: path, after: digest) : nil
  }

  /// Ends what does not identify a file like this one.
  mutating func narrow(to file: WeightFile) {
    // Those files have Keras' first names.
    if file.entries.contains(where: { $0.layer == "conv1/conv" }) { return }
    md5?.cancel()
    md5 = nil
  }

  /// Waits for the SHA-256.
  func sha256() throws(CheckpointError) -> String {
    do throws(PlatformError) { return try digest.value() } catch { throw .platform(error) }
  }

  /// Waits for all of it.
  func value() throws(CheckpointError) -> SourceIdentity {
    let sha256 = try sha256()
    do throws(PlatformError) {
      return SourceIdentity(sha256: sha256, known: KnownFile.find(sha256: sha256, md5: try md5?.value()))
    } catch {
      throw .platform(error)
    }
  }

  func cancel() {
    digest.cancel()
    md5?.cancel()
  }
}
