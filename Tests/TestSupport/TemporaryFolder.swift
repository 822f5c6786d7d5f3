import Foundation
import Platform

/// Calls `body` with a new folder, which is removed afterwards. From then on HDF5 files can be read.
@discardableResult
public func inTemporaryFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
  startsBuiltExecutable
  return try inNewFolder(of: NSTemporaryDirectory(), body)
}

/// The same in memory, where there is such a place: for runs that write much, of which the waiting for disks is no part.
@discardableResult
public func inMemoryFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
  let memory = "/dev/shm"
  guard access(memory, W_OK) == 0 else { return try inTemporaryFolder(body) }
  startsBuiltExecutable
  return try inNewFolder(of: memory + "/", body)
}

private func inNewFolder<Result>(of parent: String, _ body: (String) throws -> Result) throws -> Result {
  let folder = parent + "chexnet-tests-" + UUID().uuidString
  try createFolder(folder)
  defer { try? FileManager.default.removeItem(atPath: folder) }
  return try body(folder)
}
