import Foundation

/// The path of a file under `fixtures/`, wherever the repository stands: the first folder above this file that has one.
public func fixture(_ relative: String) -> String {
  var folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
  while folder.path != "/" {
    let candidate = folder.appendingPathComponent("fixtures")
    if FileManager.default.fileExists(atPath: candidate.path) {
      return candidate.appendingPathComponent(relative).path
    }
    folder.deleteLastPathComponent()
  }
  return relative
}
