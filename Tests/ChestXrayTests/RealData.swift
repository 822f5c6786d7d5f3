import Foundation

/// The folder of real ChestX-ray14 files, `shared/data/chestxray14`, beside the repository or beside a folder above it;
/// nil, said out loud, where this machine does not have them.
func realChestXray14(_ test: String = #function) -> String? {
  var folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  while folder.path != "/" {
    folder.deleteLastPathComponent()
    let candidate = folder.appendingPathComponent("shared/data/chestxray14")
    if FileManager.default.fileExists(atPath: candidate.path) { return candidate.path }
  }
  return nil
}
