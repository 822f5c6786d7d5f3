import Foundation
import Platform

/// Calls `body` with a new folder, which is removed afterwards.
public func inTemporaryFolder(_ body: (String) throws -> Void) throws {
  let folder = NSTemporaryDirectory() + "chexnet-tests-" + UUID().uuidString
  try createFolder(folder)
  defer { try? FileManager.default.removeItem(atPath: folder) }
  try body(folder)
}
