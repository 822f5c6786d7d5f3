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

  /// What has hidden pickles from scanners, or made two readers see two archives.
  @Test(arguments: [
    ("flag-4", WeightFault.zip(.unknownFlags(entry: "a/data/0", flags: 0x0810))),
    ("flag-5", .zip(.encrypted(entry: "a/data/0"))), ("flag-6", .zip(.encrypted(entry: "a/data/0"))),
    ("flag-7", .zip(.unknownFlags(entry: "a/data/0", flags: 0x0880))),
    ("flag-12", .zip(.unknownFlags(entry: "a/data/0", flags: 0x1800))),
    ("flag-13", .zip(.encrypted(entry: "a/data/0"))),
    ("flag-14", .zip(.unknownFlags(entry: "a/data/0", flags: 0x4800))),
    ("flag-15", .zip(.unknownFlags(entry: "a/data/0", flags: 0x8800))),
    ("local-signature", .zip(.localMismatch(entry: "a/data/0", field: "signature"))),
    ("local-packed-size", .zip(.localMismatch(entry: "a/data/0", field: "size"))),
    ("method-without-deflating", .zip(.localMismatch(entry: "a/data/0", field: "size"))),
    ("front", .zip(.gap(before: "a/data.pkl"))), ("two-archives", .zip(.gap(before: "a/data.pkl"))),
    (
      "two-archives-shifted",
      .zip(.malformedEnd(reason: "the directory does not end where the end record begins"))
    ),
    ("behind-last-entry", .zip(.gap(before: "the directory"))), ("end-in-comment", .zip(.ambiguousEnd)),
    ("two-ends", .zip(.malformedEnd(reason: "the directory does not end where the end record begins"))),
    ("count-here", .zip(.severalDisks)), ("same-header", .zip(.overlap(entry: "a/data.pkl"))),
    ("outside", .zip(.gap(before: "a/more"))), ("entry-on-another-disk", .zip(.severalDisks)),
    ("backslash-name", .zip(.unsafeName("a\\..\\b"))), ("control-name", .zip(.unsafeName("a/\u{1B}[2J"))),
    ("zero-in-name", .zip(.unsafeName("a/data.pkl\0.txt"))), ("not-utf-8-name", .zip(.unsafeName("a/\u{FFFD}"))),
    ("empty-name", .zip(.unsafeName(""))), ("malformed-directory", .zip(.malformedDirectory(entry: 0))),
    ("extra-too-long", .zip(.malformedDirectory(entry: 3))), ("zip64-missing", .zip(.malformedDirectory(entry: 1))),
    ("zip64-twice", .zip(.malformedDirectory(entry: 1))), ("zip64-negative", .zip(.malformedDirectory(entry: 1))),
    ("zip64-local-size", .zip(.localMismatch(entry: "a/data/0", field: "size"))),
    ("zip64-end-count", .zip(.severalDisks)),
    ("zip64-end-size", .zip(.malformedEnd(reason: "the ZIP64 record says something else than the end record"))),
    ("zip64-end-offset", .zip(.malformedEnd(reason: "the ZIP64 record says something else than the end record"))),
    ("zip64-end-elsewhere", .zip(.severalDisks)),
    ("zip64-end-longer", .zip(.malformedEnd(reason: "the ZIP64 record is not in front of its locator"))),
    ("zip64-disks", .zip(.severalDisks)), ("descriptor-missing", .zip(.malformedDescriptor(entry: "a/data/0"))),
    ("descriptor-size", .zip(.malformedDescriptor(entry: "a/data/0"))),
    ("descriptor-signature", .zip(.malformedDescriptor(entry: "a/data/0"))),
    ("descriptor-longer", .zip(.malformedDescriptor(entry: "a/data/0"))),
    ("ratio-bomb", .zip(.bomb(entry: "a/data/0", compressed: 66_261, size: 65 << 20))),
  ])
  func `refuses the tricks that scanners were deceived with`(name: String, fault: WeightFault) {
    let path = fixture("weight-files/zip/\(name).pt")
    #expect(throws: WeightFormatError(path: path, fault: fault)) { try WeightFile.open(path: path).tensors() }
  }

  @Test func `an archive of more entries than any network has tensors is refused before they are read`() throws {
    let count = 100_001
    let size = 46 * count
    let wide =
      [0x50, 0x4B, 6, 6] + littleEndian(44, 8) + [45, 0, 45, 0] + littleEndian(0, 8) + littleEndian(count, 8)
      + littleEndian(count, 8) + littleEndian(size, 8) + littleEndian(4, 8)
    let locator = [0x50, 0x4B, 6, 7] + littleEndian(0, 4) + littleEndian(4 + size, 8) + littleEndian(1, 4)
    let end = [0x50, 0x4B, 5, 6, 0, 0, 0, 0] + [UInt8](repeating: 0xFF, count: 12) + [0, 0]
    try inTemporaryFolder { folder in
      let bytes = [0x50, 0x4B, 3, 4] + [UInt8](repeating: 0, count: size) + wide + locator + end
      try AtomicFile.write(bytes, to: folder + "/many", overwriting: false)
      #expect(
        throws: WeightFormatError(path: folder + "/many", fault: .zip(.tooManyEntries(count: count, limit: 100_000)))
      ) { try WeightFile.open(path: folder + "/many") }
    }
  }

  @Test func `takes a wrong checksum only when told to`() throws {
    let path = fixture("weight-files/zip/wrong-checksum.pt")
    #expect(try WeightFile.open(path: path, options: .init(ignoreCRC: true)).tensors().names == ["w"])
  }

  @Test func `bombs and names that point outside are unsafe, not just bad`() {
    for fault in [
      ZipFault.bomb(entry: "a", compressed: 1, size: 9999), .unsafeName("/a"), .symbolicLink(entry: "a"),
      .tooManyEntries(count: 2, limit: 1),
    ] {
      #expect(fault.diagnosis.exit == .unsafeFile)
    }
  }
}
