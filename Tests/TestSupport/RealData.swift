import Foundation

/// The real ChestX-ray14 files (not in the repository): `shared/data/chestxray14` beside the repository, or beside a
/// folder above it; nil where this machine does not have them.
public let realChestXray14: String? = {
  var folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  while folder.path != "/" {
    folder.deleteLastPathComponent()
    let candidate = folder.appendingPathComponent("shared/data/chestxray14")
    if FileManager.default.fileExists(atPath: candidate.path) { return candidate.path }
  }
  return nil
}()
