import Foundation
import Platform
import TestSupport
import Testing

@testable import WeightFormats

@Suite struct PickleInterpreterTests {
  @Test(arguments: [
    ("truncated", PickleFault.truncated), ("trailing-bytes", .trailingBytes(offset: 141)),
    ("protocol-1", .unsupportedProtocol(1)), ("unsupported-opcode", .dangerousGlobal("os.system")),
    ("extension", .unsupportedOpcode(0x82, offset: 2)),
    ("instance", .unsupportedOpcode(0x69, offset: 3)), ("malformed-and-dangerous", .dangerousGlobal("os.system")),
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
    ("conjugated", .malformedTensor(reason: "it is a conjugated or negated view")),
    ("storage-class", .malformedStorage(reason: "its class is no storage")),
    ("storage-view-outside", .malformedStorage(reason: "its view lies outside of it")),
    ("storage-id-no-tuple", .malformedStorage(reason: "a persistent id is no tuple")),
    ("tensor-dimensions", .malformedTensor(reason: "expected a storage, an offset, a size and strides")),
    ("tensor-ranks-differ", beyond("[2, 2]", "[1]", 0)),
    ("tensor-size-overflow", beyond("[4611686018427387904, 8]", "[0, 0]", 0)),
    ("parameter-without-tensor", .malformedTensor(reason: "a parameter without a tensor")),
    ("key-without-value", .wrongOperand(offset: 10, reason: "a key has no value")),
    ("call-of-no-function", .wrongOperand(offset: 4, reason: "something that is no function is called")),
    ("call-without-tuple", .wrongOperand(offset: 28, reason: "the arguments of a call are no tuple")),
    ("call-of-storage", .wrongOperand(offset: 23, reason: "a class that is not called in weights is called")),
    (
      "ordered-of-text",
      .wrongOperand(offset: 34, reason: "an OrderedDict is made of something that is no list of pairs")
    ),
    ("global-of-numbers", .wrongOperand(offset: 6, reason: "the name of a class is no text")),
    ("items-for-none", .wrongOperand(offset: 6, reason: "items are added to something that is no set")),
  ])
  func `refuses a pickle that lies`(name: String, fault: PickleFault) {
    let path = fixture("weight-files/pickle/\(name).pt")
    #expect(throws: WeightFormatError(path: path, fault: .pickle(fault))) { try WeightFile.open(path: path) }
  }

  private static func beyond(_ size: String, _ strides: String, _ offset: Int) -> PickleFault {
    .malformedTensor(
      reason: "size \(size), strides \(strides) and offset \(offset) reach beyond its storage of 4 elements")
  }

  @Test func `a tensor in an object of an unknown class is read only when told to`() throws {
    let path = fixture("weight-files/pickle/through-unknown.pt")
    let file = try WeightFile.open(path: path)
    #expect(file.globals.filter(\.isUnknown).map(\.name) == ["mystery.Box"])
    let error = #expect(throws: WeightFormatError.self) { try file.tensors() }
    #expect(error?.fault == .pickle(.throughUnknownGlobal(tensor: "w.0", global: "mystery.Box")))
    #expect(error?.diagnosis.exit == .unsafeFile)
    #expect(try WeightFile.open(path: path, options: .init(allowModulePickle: true)).tensors().names == ["w.0"])
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
    #expect(throws: WeightFault.pickle(.limit(what: "operations", limit: 2_000_000))) {
      try run([0x4E, 0x30], 1_000_001)
    }
    #expect(throws: WeightFault.pickle(.limit(what: "containers", limit: 300_000))) { try run([0x7D, 0x30], 300_001) }
  }

  @Test func `items, names and texts are bounded`() {
    func run(_ operations: [UInt8]) throws { _ = try PickleInterpreter.run([0x80, 4] + operations + [0x2E]) }
    // A call that copies a list of 20,000 pairs, 20,000 times.
    let list = [0x5D, 0x28] + [[UInt8]](repeating: [0x4E, 0x4E, 0x86], count: 20_000).joined() + [0x65, 0x85]
    let calls = [[UInt8]](repeating: [0x68, 0, 0x68, 1, 0x52, 0x30], count: 20_000).joined()
    #expect(throws: WeightFault.pickle(.limit(what: "items in containers", limit: 500_000))) {
      try run(Array("ccollections\nOrderedDict\nq\0".utf8) + list + [0x71, 1] + calls)
    }
    #expect(throws: WeightFault.pickle(.limit(what: "functions and classes", limit: 1000))) {
      try run((0...1000).flatMap { Array("ca\n\($0)\n0".utf8) })
    }
    let long = [UInt8](repeating: 0x61, count: (4 << 20) + 1)
    for code: UInt8 in [0x58, 0x42, 0x54] {
      #expect(throws: WeightFault.pickle(.limit(what: "bytes in a text", limit: 4 << 20))) {
        try run([code] + littleEndian(long.count, 4) + long)
      }
    }
    #expect(throws: WeightFault.pickle(.limit(what: "bytes in a line", limit: 4096))) {
      try run([0x63] + long.prefix(4097) + [0x0A])
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
