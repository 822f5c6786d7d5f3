import Foundation
import Platform
import Tensors
import TestSupport
import Testing

@testable import WeightFormats

@Suite struct SafetensorsTests {
  private let valid = fixture("weight-files/safetensors/valid.safetensors")

  @Test func `reads what the format's own implementation wrote`() throws {
    let file = try WeightFile.open(path: valid)
    #expect(file.format == .safetensors)
    #expect(file.metadata("note") == "zwölf")
    try expectContents(of: file)
  }

  @Test func `reads only the tensors that are wanted`() throws {
    let tensors = try WeightFile.open(path: valid).tensors { $0.name == "count" }
    #expect(tensors.names == ["count"])
    #expect(tensors["count"] == HostTensor([Int64(7)], shape: []))
  }

  @Test(arguments: [
    ("truncated-length", SafetensorsFault.truncatedHeader(needed: 8, size: 3)),
    ("truncated-header", .truncatedHeader(needed: 108, size: 10)),
    ("header-too-long", .headerTooLong(bytes: 100_000_001)),
    ("header-not-object", .headerNotObject),
    (
      "malformed-header",
      .malformedHeader(.malformedJSON(reason: "the document ends where a value should stand", offset: 5))
    ),
    ("duplicate-key", .malformedHeader(.malformedJSON(reason: #"the key "a" stands twice"#, offset: 60))),
    ("metadata-not-text", .malformedMetadata(key: "epoch")),
    ("missing-dtype", .malformedEntry(tensor: "a", reason: "expected an object of dtype, shape and data_offsets")),
    ("negative-size", .malformedEntry(tensor: "a", reason: "shape is no list of sizes")),
    ("descending-offsets", .malformedEntry(tensor: "a", reason: "data_offsets is no pair of ascending offsets")),
    ("unknown-dtype", .unknownElementType(tensor: "a", type: "F24")),
    ("shape-overflow", .shapeOverflow(tensor: "a")),
    ("wrong-byte-count", .wrongByteCount(tensor: "a", expected: 12, found: 16)),
    ("overlap", .overlap(tensor: "b")),
    ("hole", .hole(tensor: "b")),
    ("trailing-bytes", .wrongFileSize(expected: 147, found: 148)),
    ("truncated-data", .wrongFileSize(expected: 147, found: 146)),
  ])
  func `refuses a file that lies`(name: String, fault: SafetensorsFault) {
    let path = fixture("weight-files/safetensors/\(name).safetensors")
    #expect(throws: WeightFormatError(path: path, fault: .safetensors(fault))) { try WeightFile.open(path: path) }
  }

  @Test func `a truncated file is an error wherever it ends`() throws {
    try expectTruncationsRefused(of: valid)
  }

  @Test func `writes files that read back equal, aligned and always the same`() throws {
    try inTemporaryFolder { folder in
      let tensors: [(name: String, tensor: HostTensor)] = [
        ("flag", HostTensor(elementType: .uint8, shape: [1], bytes: [1])),
        ("b", HostTensor([Float(1), -2], shape: [2])),
        ("a", HostTensor([Double(3)], shape: [1, 1])),
      ]
      for name in ["one", "two"] {
        try Safetensors.write(
          tensors: tensors, metadata: [("format", "pt")], to: folder + "/" + name, overwriting: false)
      }
      let file = try WeightFile.open(path: folder + "/one")
      let read = try file.tensors()
      #expect(read.names == ["a", "b", "flag"])
      for (name, tensor) in tensors { #expect(read[name] == tensor) }
      #expect(file.metadata.map(\.key) == ["format"])
      let bytes = try FileReader.contents(of: folder + "/one")
      #expect(try bytes == FileReader.contents(of: folder + "/two"))
      #expect(bytes.prefix(8).reduce(0) { $0 + Int($1) } % 8 == 0)
    }
  }
}

@Suite struct WeightFileTests {
  @Test(arguments: [
    ("image.jpg", FormatFault.jpeg), ("model.onnx", .onnx), ("array.npy", .numpy), ("model.gguf", .gguf),
    ("error.pth", .text(beginning: #"{"error": "Repository not found", "code""#)),
    ("binary.pt", .unknown(firstBytes: [UInt8](repeating: 0xFF, count: 8))),
    ("packed.gz", .compressed("gzip", unpack: "gunzip")), ("packed.bz2", .compressed("bzip2", unpack: "bunzip2")),
    ("packed.xz", .compressed("xz", unpack: "unxz")), ("packed.zst", .compressed("zstd", unpack: "unzstd")),
    ("packed.7z", .compressed("7z", unpack: "7z x")), ("packed.rar", .compressed("rar", unpack: "unrar x")),
    ("empty.pt", .empty), ("unknown.pt", .unknown(firstBytes: [1, 2, 3, 4, 5, 6, 7, 8])),
    ("image.png", .png), ("image.dcm", .dicom),
    ("legacy.tar", .torchLegacyTar), ("page.pth", .html), ("pointer.safetensors", .gitLFSPointer),
    ("keras-shards.weights.json", .shardIndex),
  ])
  func `says what a file is that is no weight file`(name: String, fault: FormatFault) {
    let path = fixture("weight-files/foreign/\(name)")
    #expect(throws: WeightFormatError(path: path, fault: .format(fault))) { try WeightFile.open(path: path) }
  }

  @Test func `a missing file exits 66 and bad data exits 65`() {
    let missing = #expect(throws: WeightFormatError.self) { try WeightFile.open(path: "/nowhere/weights.pt") }
    #expect(missing?.diagnosis.exit == .inputMissing)
    let empty = #expect(throws: WeightFormatError.self) {
      try WeightFile.open(path: fixture("weight-files/foreign/empty.pt"))
    }
    #expect(empty?.diagnosis.exit == .badData)
    #expect(empty?.diagnosis.message.hasSuffix("empty.pt: the file is empty") == true)
  }
}
