import Platform
import TestSupport
import Testing

@testable import WeightFormats

@Suite struct TorchStreamTests {
  @Test(arguments: ["protocol-2", "protocol-4", "torch-03-views", "module"])
  func `reads what PyTorch wrote before its archives`(name: String) throws {
    let file = try WeightFile.open(path: fixture("weight-files/stream/\(name).pth"))
    #expect(file.format == .torchStream)
    try expectContents(of: file)
  }

  @Test func `names what stands beside the tensors`() throws {
    let file = try WeightFile.open(path: fixture("weight-files/stream/protocol-2.pth"))
    #expect(file.metadata.map(\.key) == ["epoch", "best_loss", "note"])
    #expect(file.metadata.map(\.value) == ["3", "0.25", "zwölf"])
    #expect(file.entries.first { $0.name == "state_dict.transposed" }?.strides == [1, 5])
  }

  @Test func `a storage over 4 MiB is read in the parts that tensors view`() throws {
    // The pickle and the storage of an archive, as a stream.
    let source = fixture("weight-files/torch/flat.pt")
    let zip = try ZipArchive(FileReader(path: source), ignoreCRC: false)
    let pickle = try #require(try zip.contents(of: "archive/data.pkl"))
    let storage = try #require(try zip.contents(of: "archive/data/0"))
    let magic: [UInt8] = [0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E]
    let headers = magic + [0x80, 2, 0x4D, 0xE9, 3, 0x2E] + [0x80, 2, 0x7D, 0x2E]
    let keys = [0x80, 2, 0x5D, 0x58, 1, 0, 0, 0, 0x30, 0x61, 0x2E] + littleEndian(storage.count / 4, 8)
    try inTemporaryFolder { folder in
      let path = folder + "/flat.pth"
      try AtomicFile.write(headers + pickle + keys + storage, to: path, overwriting: false)
      try AtomicFile.write(
        FileReader.contents(of: source + ".expected.json"), to: path + ".expected.json", overwriting: false)
      let file = try WeightFile.open(path: path)
      #expect(file.format == .torchStream)
      try expectContents(of: file)
    }
  }

  @Test(arguments: [
    ("protocol", TorchFault.unknownStream(reason: "its protocol is not 1001")),
    ("system-no-dictionary", .unknownStream(reason: "the facts about the writing machine are no dictionary")),
    ("keys-no-list", .unknownStream(reason: "its keys are no list")),
    ("key-no-text", .unknownStream(reason: "a key is no text, or stands twice")),
    ("key-twice", .unknownStream(reason: "a key is no text, or stands twice")),
    ("key-of-no-tensor", .unknownStream(reason: "no tensor views storage 1")), ("key-missing", .missingRecord("0")),
    ("two-sizes", .unknownStream(reason: "storage 0 has two sizes")),
    ("storage-size", .wrongStorageSize(record: "0", expected: 4, found: 3)),
    ("storage-negative", .wrongStorageSize(record: "0", expected: 4, found: -4)),
    ("truncated", .truncatedStream(key: "0")), ("truncated-count", .truncatedStream(key: "0")),
    ("trailing-bytes", .trailingBytes(offset: 247, size: 248)),
    ("with-archive-behind", .trailingBytes(offset: 247, size: 710)),
  ])
  func `refuses a stream that lies`(name: String, fault: TorchFault) {
    let path = fixture("weight-files/stream/\(name).pth")
    #expect(throws: WeightFormatError(path: path, fault: .torch(fault))) { try WeightFile.open(path: path) }
  }

  @Test(arguments: [
    ("truncated-pickle", WeightFault.pickle(.truncated)),
    ("other-magic", .format(.unknown(firstBytes: [0x80, 2, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46]))),
    (
      "tensor-beyond-storage",
      .pickle(
        .malformedTensor(reason: "size [2, 2], strides [2, 1] and offset 1 reach beyond its storage of 4 elements"))
    ),
    (
      "view-beyond-storage",
      .pickle(
        .malformedTensor(reason: "size [2, 2], strides [2, 1] and offset 0 reach beyond its storage of 3 elements"))
    ),
  ])
  func `refuses a stream whose pickles lie`(name: String, fault: WeightFault) {
    let path = fixture("weight-files/stream/\(name).pth")
    #expect(throws: WeightFormatError(path: path, fault: fault)) { try WeightFile.open(path: path) }
  }

  @Test(arguments: ["protocol-2", "protocol-4", "torch-03-views", "module"])
  func `a truncated file is an error wherever it ends`(name: String) throws {
    try expectTruncationsRefused(of: fixture("weight-files/stream/\(name).pth"))
  }
}
