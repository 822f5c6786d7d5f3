import Foundation
import Platform
import TestSupport
import Testing

@testable import WeightFormats

@Suite struct PickleInterpreterTests {
  @Test(arguments: [
    ("truncated", PickleFault.truncated), ("trailing-bytes", .trailingBytes(offset: 141)),
    ("protocol-1", .unsupportedProtocol(1)), ("unsupported-opcode", .unsupportedOpcode(0x69, offset: 3)),
    ("os-system", .dangerousGlobal("os.system")), ("posix-system", .dangerousGlobal("posix.system")),
    ("builtins-eval", .dangerousGlobal("builtins.eval")), ("torch-load", .dangerousGlobal("torch.load")),
    ("stack-global", .dangerousGlobal("os.system")),
    ("stack-underflow", .stackUnderflow(offset: 2)), ("missing-memo", .missingMemo(index: 5, offset: 2)),
    ("malformed-text", .malformedText(offset: 2)),
    ("append-to-tensor", .wrongOperand(offset: 140, reason: "items are appended to something that is no list")),
    ("set-in-list", .wrongOperand(offset: 5, reason: "keys are set in something that is no dictionary")),
    ("state-for-tensor", .wrongOperand(offset: 140, reason: "state is given to a value that has none")),
    ("storage-without-key", .malformedStorage(reason: "expected ('storage', class, key, location, elements)")),
    ("storage-overflow", .malformedStorage(reason: "4611686018427387904 elements do not fit in 64 bits")),
    ("tensor-beyond-storage", beyond("[2, 2]", "[2, 1]", 1)),
    ("tensor-strides-overflow", beyond("[2, 2]", "[4611686018427387904, 4611686018427387904]", 0)),
    ("tensor-negative-stride", beyond("[2, 2]", "[-2, 1]", 0)),
    ("tensor-larger-than-storage", beyond("[1048576, 1048576]", "[0, 0]", 0)),
    ("complex-tensor", .unsupportedElements("torch.ComplexFloatStorage")),
  ])
  func `refuses a pickle that lies`(name: String, fault: PickleFault) {
    let path = fixture("weight-files/pickle/\(name).pt")
    #expect(throws: WeightFormatError(path: path, fault: .pickle(fault))) { try WeightFile.open(path: path) }
  }

  private static func beyond(_ size: String, _ strides: String, _ offset: Int) -> PickleFault {
    .malformedTensor(
      reason: "size \(size), strides \(strides) and offset \(offset) reach beyond its storage of 4 elements")
  }

  @Test func `a dangerous function is unsafe, named, and not run`() throws {
    let path = fixture("weight-files/pickle/os-system.pt")
    let error = #expect(throws: WeightFormatError.self) { try WeightFile.open(path: path) }
    #expect(error?.diagnosis.exit == .unsafeFile)
    #expect(error?.diagnosis.id == "pickle.dangerous-global")
    #expect(error?.diagnosis.message.contains("os.system") == true)
    #expect(!FileManager.default.fileExists(atPath: "/tmp/chexnet-was-here"))
  }

  @Test func `a pickle of any depth costs no stack`() throws {
    // Tuples inside each other, nearly as many as may be.
    let nested: [UInt8] = [0x80, 2, 0x29] + [UInt8](repeating: 0x85, count: 290_000) + [UInt8(ascii: ".")]
    _ = try PickleInterpreter.run(nested)
  }

  @Test func `the stack, the marks and the memo are bounded`() {
    func run(_ operation: [UInt8], _ times: Int) throws {
      _ = try PickleInterpreter.run([0x80, 4] + [[UInt8]](repeating: operation, count: times).joined())
    }
    #expect(throws: WeightFault.pickle(.limit(what: "values on the stack", limit: 200_000))) {
      try run([0x4E], 200_001)
    }
    #expect(throws: WeightFault.pickle(.limit(what: "marks", limit: 200_000))) { try run([0x28], 200_001) }
    #expect(throws: WeightFault.pickle(.limit(what: "memos", limit: 300_000))) {
      try run([0x4E, 0x94, 0x30], 300_001)
    }
    #expect(throws: WeightFault.pickle(.limit(what: "operations", limit: 4_000_000))) {
      try run([0x4E, 0x30], 2_000_001)
    }
  }

  @Test func `reads integers of every width`() throws {
    func value(_ bytes: [UInt8]) throws -> PickleValue { try PickleInterpreter.run([0x80, 2] + bytes + [0x2E]).value }
    #expect(try value([0x4A, 0xFE, 0xFF, 0xFF, 0xFF]) == .integer(-2))
    #expect(try value([0x8A, 0]) == .integer(0))
    #expect(try value([0x8A, 1, 0x80]) == .integer(-128))
    #expect(try value([0x8A, 2, 0xFF, 0x00]) == .integer(255))
    #expect(try value([0x8A, 8, 0, 0, 0, 0, 0, 0, 0, 0x80]) == .integer(.min))
    #expect(try value([0x8A, 9, 0, 0, 0, 0, 0, 0, 0, 0x80, 0]) == .inert("integer of 9 bytes"))
    #expect(try value([0x47, 0x3F, 0xF8, 0, 0, 0, 0, 0, 0]) == .float(1.5))
  }
}
