import Foundation

/// The path of a file of the folder `fixtures/`, which lies beside `Tests/`.
public func fixture(_ relative: String) -> String {
  URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("fixtures").appendingPathComponent(relative).path
}
