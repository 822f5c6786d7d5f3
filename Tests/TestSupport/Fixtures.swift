import Foundation

/// The path of a file of the folder `fixtures/`, which lies beside `Tests/`. From then on HDF5 files can be read.
public func fixture(_ relative: String) -> String {
  startsBuiltExecutable
  return URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("fixtures").appendingPathComponent(relative).path
}
