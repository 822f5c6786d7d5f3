import Platform
import TestSupport
import Testing

@testable import WeightFormats

@Suite struct TorchArchiveTests {
  @Test(arguments: ["protocol-2", "protocol-3", "protocol-4", "protocol-5", "deflated", "plain", "big-endian"])
  func `reads what PyTorch wrote`(name: String) throws {
    let file = try WeightFile.open(path: fixture("weight-files/torch/\(name).pt"))
    #expect(file.format == .torch)
    try expectContents(of: file)
  }

  @Test func `reads archives that PyTorch wrote without checksums when told to`() throws {
    let path = fixture("weight-files/torch/without-crc.pt")
    try expectContents(of: WeightFile.open(path: path, options: .init(ignoreCRC: true)))
  }

  @Test func `names what stands beside the tensors`() throws {
    let file = try WeightFile.open(path: fixture("weight-files/torch/protocol-2.pt"))
    #expect(file.metadata.map(\.key) == ["epoch", "best_loss", "note"])
    #expect(file.metadata.map(\.value) == ["3", "0.25", "zwölf"])
  }

  @Test func `reads no storage that no wanted tensor views`() throws {
    // The only storage has a wrong checksum; that shows only when it is read.
    let file = try WeightFile.open(path: fixture("weight-files/zip/wrong-checksum.pt"))
    #expect(try file.tensors { _ in false }.count == 0)
    #expect(throws: WeightFormatError.self) { try file.tensors() }
  }

  @Test(arguments: [
    ("several-roots", WeightFault.torch(.severalRoots("a/", "b/"))),
    ("hidden-pickle", .torch(.hiddenPickle("a/more/data.pkl"))),
    ("without-version", .torch(.missingRecord("a/version"))),
    ("without-storage", .torch(.missingRecord("a/data/0"))),
    ("wrong-storage-size", .torch(.wrongStorageSize(record: "a/data/0", expected: 16, found: 12))),
    ("unknown-byte-order", .torch(.unknownByteOrder("middle"))),
    ("too-many-values", .torch(.tooManyValues(limit: 200_000))), ("duplicate-tensor", .duplicateTensor("w")),
    ("torchscript", .format(.torchScript)),
    ("zip-without-weights", .format(.zipWithoutWeights)),
  ])
  func `refuses an archive that lies or is something else`(name: String, fault: WeightFault) {
    let path = fixture("weight-files/torch/\(name).pt")
    #expect(throws: WeightFormatError(path: path, fault: fault)) { try WeightFile.open(path: path) }
  }

  @Test(arguments: ["plain", "protocol-2"])
  func `a truncated file is an error wherever it ends`(name: String) throws {
    try expectTruncationsRefused(of: fixture("weight-files/torch/\(name).pt"))
  }
}
