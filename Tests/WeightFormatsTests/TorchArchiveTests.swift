import Platform
import TestSupport
import Testing

@testable import WeightFormats

@Suite struct TorchArchiveTests {
  @Test(arguments: [
    "protocol-2", "protocol-3", "protocol-4", "protocol-5", "deflated", "plain", "big-endian", "zip64", "descriptors",
    "flat", "module",
  ])
  func `reads what PyTorch wrote`(name: String) throws {
    let file = try WeightFile.open(path: fixture("weight-files/torch/\(name).pt"))
    #expect(file.format == .torch)
    try expectContents(of: file)
  }

  @Test func `reads archives that PyTorch wrote without checksums when told to`() throws {
    let path = fixture("weight-files/torch/without-crc.pt")
    try expectContents(of: WeightFile.open(path: path, options: .init(ignoreCRC: true)))
  }

  @Test func `a storage over 4 MiB is read in the parts that tensors view`() throws {
    let path = fixture("weight-files/torch/flat.pt")
    let zip = try ZipArchive(FileReader(path: path), ignoreCRC: false)
    let records = try zip.names.map { (name: $0, data: try zip.contents(of: $0) ?? []) }
    let storage = try #require(records.first { $0.name == "archive/data/0" }).data
    #expect(storage.count > 4 << 20)
    try inTemporaryFolder { folder in
      // The same records, stored.
      let stored = folder + "/stored.pt"
      try AtomicFile.write(archiveBytes(records), to: stored, overwriting: false)
      try AtomicFile.write(
        FileReader.contents(of: path + ".expected.json"), to: stored + ".expected.json", overwriting: false)
      try expectContents(of: WeightFile.open(path: stored))
      // In any order, and again.
      let file = try WeightFile.open(path: stored)
      let expected = try file.tensors()
      for index in Array(file.entries.indices.reversed()) + Array(file.entries.indices) {
        #expect(try file.tensor(at: index) == expected[file.entries[index].name])
      }
      // One wrong byte, which no tensor but the first views, shows in each.
      var damaged = try FileReader.contents(of: stored)
      let place = try #require(damaged.firstRange(of: storage[..<64])).lowerBound
      damaged[place + storage.count / 2 + 2] ^= 1
      try AtomicFile.write(damaged, to: folder + "/damaged.pt", overwriting: false)
      #expect(
        throws: WeightFormatError(path: folder + "/damaged.pt", fault: .zip(.wrongChecksum(entry: "archive/data/0")))
      ) {
        try WeightFile.open(path: folder + "/damaged.pt").tensors { $0.name == "front" }
      }
    }
  }

  @Test func `members that are none of PyTorch's are never read`() throws {
    // Pickles under other names, an archive in the archive, and code: PyTorch does not look at them either.
    let file = try WeightFile.open(path: fixture("weight-files/torch/odd-members.pt"))
    #expect(file.globals.allSatisfy { $0.kind == "weights" })
    #expect(try file.tensors().names == ["w"])
  }

  @Test func `no more is read than any network needs`() throws {
    let path = fixture("weight-files/torch/too-large.pt")
    let file = try WeightFile.open(path: path)
    let limit = WeightFile.readLimit
    #expect(throws: WeightFormatError(path: path, fault: .tooLarge(bytes: limit + 4 << 20, limit: limit))) {
      try file.tensors()
    }
  }

  @Test func `reading over and over, because tensors of two storages take turns, has an end`() throws {
    // A thousand times one element of each of two storages of 4 MiB.
    let one = Self.tensor(key: "0"), two = Self.tensor(key: "1")
    let turns = [[UInt8]](repeating: [0x68, 0, 0x68, 1], count: 1000).joined()
    let pickle = [0x80, 2] + one + [0x71, 0, 0x30] + two + [0x71, 1, 0x30, 0x5D, 0x28] + turns + Array("e.".utf8)
    let zeros = [UInt8](repeating: 0, count: 4 << 20)
    try inTemporaryFolder { folder in
      let path = folder + "/turns.pt"
      try AtomicFile.write(
        archiveBytes([("a/data.pkl", pickle), ("a/data/0", zeros), ("a/data/1", zeros), ("a/version", [0x33])]),
        to: path,
        overwriting: false)
      #expect(throws: WeightFormatError(path: path, fault: .torch(.readTooOften(limit: 1 << 30)))) {
        try WeightFile.open(path: path).tensors()
      }
    }
  }

  /// Operations that put one element of a storage of 2²⁰ floats on the stack.
  private static func tensor(key: String) -> [UInt8] {
    let id = "(X\u{7}\0\0\0storagectorch\nFloatStorage\nX\u{1}\0\0\0\(key)X\u{3}\0\0\0cpu"
    return Array("ctorch._utils\n_rebuild_tensor_v2\n(\(id)J\0\0\u{10}\0tQK\0K\u{1}".utf8) + [
      0x85, 0x4B, 1, 0x85, 0x89,
    ]
      + Array("NtR".utf8)
  }

  @Test func `inflating over and over has an end`() throws {
    // Sixty times one element of each of two deflated storages of 5 MiB.
    let path = fixture("weight-files/torch/inflated-in-turns.pt")
    let file = try WeightFile.open(path: path)
    let error = #expect(throws: WeightFormatError.self) { try file.tensors() }
    guard case .zip(.bomb("a/data/1", _, let size)) = error?.fault else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(size == 52 * 5 << 20)
    #expect(error?.diagnosis.exit == .unsafeFile)
  }

  @Test func `names that are together longer than any network's are refused`() throws {
    let name = [0x58] + littleEndian(1 << 20, 4) + [UInt8](repeating: 0x6E, count: 1 << 20)
    let many = [[UInt8]](repeating: [0x68, 0], count: 20).joined()
    let pickle =
      [0x80, 2, 0x7D] + name + [0x5D, 0x28] + Self.tensor(key: "0") + [0x71, 0] + many + Array("es.".utf8)
    let (value, heap) = try PickleInterpreter.run(pickle)
    #expect(throws: WeightFault.torch(.tooMuchText(limit: 16 << 20))) { try TorchTree(value, heap: heap) }
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
    ("hidden-upper-case", .torch(.hiddenPickle("a/DATA.PKL"))),
    ("pickle-too-long", .torch(.recordTooLong("a/data.pkl", bytes: 17 << 20, limit: 16 << 20))),
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

  @Test(arguments: ["plain", "protocol-2", "zip64", "descriptors", "module"])
  func `a truncated file is an error wherever it ends`(name: String) throws {
    try expectTruncationsRefused(of: fixture("weight-files/torch/\(name).pt"))
  }
}
