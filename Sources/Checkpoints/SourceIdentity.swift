import Platform
import WeightFormats

/// Which file weights were imported from: by its digest, and whether it is one that is known.
struct SourceIdentity {
  var sha256: String
  var known: KnownFile?

  /// What stands in a checkpoint's header until the digest is known.
  static let unknown = SourceIdentity(sha256: CheckpointWriter.unknownDigest)

  private init(sha256: String) { self.sha256 = sha256 }

  /// Of a file whose SHA-256 is computed already, or being computed.
  init(of file: WeightFile, sha256: PendingDigest) throws(CheckpointError) {
    do throws(PlatformError) {
      self.sha256 = try sha256.value()
      // Keras publishes MD5s, of files that have its first names.
      let isPublished = file.entries.contains { $0.layer == "conv1/conv" }
      let md5 = isPublished ? try MessageDigest.hex(.md5, ofFile: file.path) : nil
      known = KnownFile.find(sha256: self.sha256, md5: md5)
    } catch {
      throw .platform(error)
    }
  }
}
