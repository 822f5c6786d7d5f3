import TestSupport
import Testing

@testable import Platform

@Suite struct MessageDigestTests {
  // FIPS 180-4's and RFC 1321's own example: "abc".
  private let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
  private let md5 = "900150983cd24fb0d6963f7d28e17f72"

  @Test func `digests of a file are the standards'`() throws {
    try inTemporaryFolder { folder in
      try AtomicFile.write("abc", to: folder + "/abc", overwriting: false)
      #expect(try MessageDigest.hex(.sha256, ofFile: folder + "/abc") == sha256)
      #expect(try MessageDigest.hex(.md5, ofFile: folder + "/abc") == md5)
      let pending = PendingDigest(.sha256, ofFile: folder + "/abc")
      #expect(try pending.value() == sha256)
      pending.cancel()
    }
  }

  @Test func `a digest ends at the piece at which it is cancelled, and a missing file is its error`() throws {
    try inTemporaryFolder { folder in
      let bytes = (0..<600 << 10).map { UInt8(truncatingIfNeeded: $0 / 1000) }
      try AtomicFile.write(bytes, to: folder + "/bytes", overwriting: false)
      var pieces = 0
      let begun = try MessageDigest.hex(.sha256, ofFile: folder + "/bytes") {
        pieces += 1
        return pieces > 1
      }
      // Read in pieces of 256 KiB.
      #expect(begun == SHA256.hex(of: Array(bytes.prefix(256 << 10))))
      let missing = PendingDigest(.sha256, ofFile: folder + "/missing")
      #expect(throws: PlatformError.missing(path: folder + "/missing")) { try missing.value() }
    }
  }
}
