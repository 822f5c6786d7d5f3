import Foundation
import Platform

/// Calls `body` with a new folder, which is removed afterwards. From then on HDF5 files can be read.
@discardableResult
public func inTemporaryFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
  startsBuiltExecutable
  let folder = NSTemporaryDirectory() + "chexnet-tests-" + UUID().uuidString
  try createFolder(folder)
  defer { try? FileManager.default.removeItem(atPath: folder) }
  return try body(folder)
}
