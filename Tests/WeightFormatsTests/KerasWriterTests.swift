import Foundation
import Platform
import Tensors
import TestSupport
import Testing

@testable import WeightFormats

@Suite struct KerasWriterTests {
  private static let metadata = [(key: "backend", value: "tensorflow"), (key: "keras_version", value: "3.15.1")]

  private func entry(_ layer: String, _ weight: String, _ shape: Shape) -> WeightFile.Entry {
    WeightFile.Entry(name: layer + "/" + weight, elementType: .float32, shape: shape, layer: layer)
  }

  private func tensor(_ shape: Shape, from first: Int = 0) -> HostTensor {
    HostTensor((0..<shape.count).map { Float(first + $0) }, shape: shape)
  }

  private var small: [WeightFile.Entry] {
    [
      entry("zeta", "zeta/kernel", [3, 3, 2, 4]), entry("alpha", "alpha/gamma", [4]), entry("alpha", "alpha/beta", [4]),
      entry("dense", "bias", [1]),
    ]
  }

  @Test func `our reader finds layers and weights in the order given`() throws {
    try inTemporaryFolder { folder in
      let entries = small
      try KerasWriter.write(entries, metadata: Self.metadata, to: folder + "/a.h5", overwriting: false) {
        tensor(entries[$0].shape, from: $0)
      }
      let file = try WeightFile.open(path: folder + "/a.h5")
      #expect(file.format == .keras)
      #expect(file.entries.map(\.name) == entries.map(\.name))
      #expect(file.entries.map(\.layer) == entries.map(\.layer))
      #expect(file.metadata("keras_version") == "3.15.1")
      #expect(file.metadata("backend") == "tensorflow")
      let tensors = try file.tensors()
      for (index, entry) in entries.enumerated() {
        #expect(tensors[entry.name] == tensor(entry.shape, from: index))
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["a.h5"])
    }
  }

  @Test func `the bytes do not tell when they were written`() throws {
    try inTemporaryFolder { folder in
      let entries = small
      for name in ["one", "two"] {
        try KerasWriter.write(entries, metadata: Self.metadata, to: folder + "/" + name, overwriting: false) {
          tensor(entries[$0].shape)
        }
        // HDF5 counts seconds.
        if name == "one" { Thread.sleep(forTimeInterval: 1.1) }
      }
      #expect(try FileReader.contents(of: folder + "/one") == FileReader.contents(of: folder + "/two"))
    }
  }

  @Test func `a list of names that is too long for an attribute is cut, and read whole again`() throws {
    try inTemporaryFolder { folder in
      // 300 names of 250 bytes.
      let entries = (0..<300).map { entry("layer\($0)".padding(toLength: 250, withPad: "x", startingAt: 0), "w", [1]) }
      try KerasWriter.write(entries, metadata: Self.metadata, to: folder + "/a", overwriting: false) {
        tensor([1], from: $0)
      }
      let file = try WeightFile.open(path: folder + "/a")
      #expect(file.entries.map(\.name) == entries.map(\.name))
      #expect(file.entries.map(\.layer) == entries.map(\.layer))
      let bytes = try FileReader.contents(of: folder + "/a")
      for name in ["layer_names0\0", "layer_names1\0"] { #expect(Data(bytes).range(of: Data(name.utf8)) != nil) }
    }
  }

  /// NumPy's `array_split` gives the first pieces one more; Keras takes as few pieces as fit.
  @Test(
    arguments: [
      (10, 21, [0..<10]), (0, 1, [0..<0]), (3072, 21, [0..<3072]), (3073, 21, [0..<1537, 1537..<3073]),
      (7, 30_000, [0..<2, 2..<4, 4..<6, 6..<7]), (2, 64_512, [0..<1, 1..<2]),
    ] as [(Int, Int, [Range<Int>])])
  func `lists are cut as Keras cuts them`(count: Int, width: Int, pieces: [Range<Int>]) {
    #expect(KerasWriter.pieces(count: count, width: width) == pieces)
  }

  @Test func `what cannot be written is an error, and nothing is left`() throws {
    try inTemporaryFolder { (folder: String) throws in
      let entries = small
      #expect(throws: PlatformError.cannotCreate(path: folder + "/no/a.h5", errno: ENOENT)) {
        try KerasWriter.write(entries, metadata: [], to: folder + "/no/a.h5", overwriting: false) {
          tensor(entries[$0].shape)
        }
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }
}
