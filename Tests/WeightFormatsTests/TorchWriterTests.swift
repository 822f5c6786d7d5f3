import Platform
import Tensors
import TestSupport
import Testing

@testable import WeightFormats

@Suite struct TorchWriterTests {
  private static let folder = "weight-files/torch-writing/"

  private func described() throws -> JSONValue {
    try JSONValue.parse(FileReader.contents(of: fixture(Self.folder + "state-dict.json")))
  }

  private func entries() throws -> [WeightFile.Entry] {
    try (described()["tensors"]?.array ?? []).map { tensor in
      WeightFile.Entry(
        name: try #require(tensor["name"]?.string),
        elementType: try #require(tensor["type"]?.string.flatMap(ElementType.init)),
        shape: Shape(try #require(tensor["shape"]?.array).compactMap(\.integer)))
    }
  }

  @Test func `the pickle is the one that PyTorch wrote, byte for byte`() throws {
    let entries = try entries()
    #expect(entries.count == 49)
    #expect(try TorchWriter.pickle(entries) == FileReader.contents(of: fixture(Self.folder + "state-dict.pkl")))
  }

  @Test(arguments: [0, 1, 1000, 1001, 2001])
  func `long state dicts are cut into the batches of Python's pickler`(count: Int) throws {
    let entries = (0..<count).map { WeightFile.Entry(name: "w\($0)", elementType: .float32, shape: [1]) }
    #expect(try SHA256.hex(of: TorchWriter.pickle(entries)) == described()["long"]?["\(count)"]?.string)
  }

  /// A tensor of counting bytes.
  private func tensor(_ entry: WeightFile.Entry) -> HostTensor {
    HostTensor(
      elementType: entry.elementType, shape: entry.shape,
      bytes: (0..<entry.shape.count * entry.elementType.size).map { UInt8($0 % 251) })
  }

  @Test func `our reader finds every tensor, and the bytes are always the same`() throws {
    try inTemporaryFolder { folder in
      let entries = try entries()
      for name in ["one", "two"] {
        try TorchWriter.write(entries, to: folder + "/" + name, overwriting: false) { tensor(entries[$0]) }
      }
      let file = try WeightFile.open(path: folder + "/one")
      #expect(file.format == .torch)
      #expect(file.entries.map(\.name) == entries.map(\.name))
      let tensors = try file.tensors()
      for entry in entries { #expect(tensors[entry.name] == tensor(entry)) }
      #expect(try FileReader.contents(of: folder + "/one") == FileReader.contents(of: folder + "/two"))
      #expect(throws: PlatformError.exists(path: folder + "/one")) {
        try TorchWriter.write([], to: folder + "/one", overwriting: false) { tensor(entries[$0]) }
      }
    }
  }

  @Test func `the records are those that every PyTorch since 1_6 knows`() throws {
    try inTemporaryFolder { folder in
      let entries = try Array(entries().prefix(2))
      try TorchWriter.write(entries, to: folder + "/a", overwriting: false) { tensor(entries[$0]) }
      let zip = try ZipArchive(FileReader(path: folder + "/a"), ignoreCRC: false)
      #expect(
        zip.names
          == ["data.pkl", "byteorder", "data/0", "data/1", "version"].map { "archive/" + $0 })
      #expect(try zip.contents(of: "archive/version") == Array("3\n".utf8))
      #expect(try zip.contents(of: "archive/byteorder") == Array("little".utf8))
    }
  }
}
