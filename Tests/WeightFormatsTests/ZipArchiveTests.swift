import Platform
import TestSupport
import Testing

@testable import WeightFormats

@Suite struct ZipArchiveTests {
  @Test(arguments: [
    ("truncated", ZipFault.truncated(size: 462)), ("ambiguous-end", .ambiguousEnd), ("several-disks", .severalDisks),
    ("trailing-bytes", .truncated(size: 465)),
    ("directory-shifted", .malformedEnd(reason: "the directory does not end where the end record begins")),
    ("count-too-low", .malformedEnd(reason: "the directory has more than 2 entries")),
    ("count-too-high", .malformedEnd(reason: "4 entries in 165 bytes")), ("encrypted", .encrypted(entry: "a/data/0")),
    ("unknown-method", .unknownMethod(entry: "a/data/0", method: 12)), ("absolute-name", .unsafeName("/etc/passwd")),
    ("dotted-name", .unsafeName("a/../b")), ("symbolic-link", .symbolicLink(entry: "a/link")),
    ("duplicate-name", .duplicateName("a/data/0")), ("overlap", .overlap(entry: "a/data.pkl")),
    ("gap", .gap(before: "a/data/0")), ("local-name", .localMismatch(entry: "a/data/0", field: "name")),
    ("local-method", .localMismatch(entry: "a/data/0", field: "method")),
    ("local-size", .localMismatch(entry: "a/data/0", field: "size")),
    ("local-checksum", .localMismatch(entry: "a/data/0", field: "checksum")),
    ("local-flags", .localMismatch(entry: "a/data/0", field: "flags")),
    ("malformed-descriptor", .malformedDescriptor(entry: "a/data/0")),
    ("bomb", .bomb(entry: "a/data/0", compressed: 12, size: 1 << 30)),
    ("inflates-short", .malformedData(entry: "a/data/0")), ("inflates-long", .malformedData(entry: "a/data/0")),
    ("inflates-and-more", .malformedData(entry: "a/data/0")), ("wrong-checksum", .wrongChecksum(entry: "a/data/0")),
  ])
  func `refuses an archive that lies`(name: String, fault: ZipFault) {
    let path = fixture("weight-files/zip/\(name).pt")
    #expect(throws: WeightFormatError(path: path, fault: .zip(fault))) { try WeightFile.open(path: path).tensors() }
  }

  @Test func `takes a wrong checksum only when told to`() throws {
    let path = fixture("weight-files/zip/wrong-checksum.pt")
    #expect(try WeightFile.open(path: path, options: .init(ignoreCRC: true)).tensors().names == ["w"])
  }

  @Test func `bombs and names that point outside are unsafe, not just bad`() {
    for fault in [ZipFault.bomb(entry: "a", compressed: 1, size: 9999), .unsafeName("/a"), .symbolicLink(entry: "a")] {
      #expect(fault.diagnosis.exit == .unsafeFile)
    }
  }
}
