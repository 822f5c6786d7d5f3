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

  @Test func `a digest that nobody waits for ends early, and a missing file is its error`() throws {
    try inTemporaryFolder { folder in
      var file = try AtomicFile(path: folder + "/zeros", overwriting: false)
      for _ in 0..<64 { try file.write([UInt8](repeating: 0, count: 1 << 20)) }
      try file.commit()
      let whole = try MessageDigest.hex(.sha256, ofFile: folder + "/zeros")
      let pending = PendingDigest(.sha256, ofFile: folder + "/zeros")
      pending.cancel()
      // 64 MiB take some 40 ms, a piece of them 0.2.
      #expect(try pending.value() != whole)
      let missing = PendingDigest(.sha256, ofFile: folder + "/missing")
      #expect(throws: PlatformError.missing(path: folder + "/missing")) { try missing.value() }
    }
  }
}
