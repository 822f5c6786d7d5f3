import Foundation
import TestSupport

@testable import ChestXray

/// The bytes of `fixtures/images/<name>`.
func imageFixture(_ name: String) throws -> [UInt8] {
  [UInt8](try Data(contentsOf: URL(fileURLWithPath: fixture("images/" + name))))
}

/// The decoded `fixtures/images/<name>`.
func radiograph(_ name: String) throws -> Radiograph { try Radiograph.read(fixture("images/" + name)) }

/// The values of `fixtures/images/<name>`, little-endian binary32.
func floatFixture(_ name: String) throws -> [Float] {
  let bytes = try imageFixture(name)
  return bytes.withUnsafeBytes { buffer in
    stride(from: 0, to: bytes.count, by: 4).map {
      Float(bitPattern: UInt32(littleEndian: buffer.loadUnaligned(fromByteOffset: $0, as: UInt32.self)))
    }
  }
}

/// A folder of its own for one test; the test removes it.
func temporaryFolder() throws -> String {
  let folder = FileManager.default.temporaryDirectory.appendingPathComponent("chexnet-" + UUID().uuidString)
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  return folder.path
}

extension ImagePreparation {
  /// What a network is given of `radiograph` in evaluation.
  func values(of radiograph: Radiograph) -> [Float] { values(prepare(radiograph)) }
}
