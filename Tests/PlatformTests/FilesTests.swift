import Foundation
import Platform
import TestSupport
import Testing

@Suite struct FileReaderTests {
  @Test func `a missing file is named, with exit 66`() throws {
    #expect(throws: PlatformError.missing(path: "no/such/file")) { try FileReader.contents(of: "no/such/file") }
    #expect(PlatformError.missing(path: "x").diagnosis.exit == .inputMissing)
  }

  @Test func `a folder is not a file`() throws {
    try inTemporaryFolder { folder in
      #expect(throws: PlatformError.notAFile(path: folder)) { try FileReader.contents(of: folder) }
    }
  }

  @Test func `a read beyond the end is refused before memory is asked for`() throws {
    try inTemporaryFolder { folder in
      let path = folder + "/ten"
      try AtomicFile.write([UInt8](repeating: 7, count: 10), to: path, overwriting: false)
      let reader = try FileReader(path: path)
      #expect(try reader.read(at: 4, count: 6) == [7, 7, 7, 7, 7, 7])
      do {
        _ = try reader.read(at: 4, count: Int.max)
        Issue.record("read bytes that are not there")
      } catch {
        #expect(error as? PlatformError == .truncated(path: path, offset: 4, expected: Int.max, size: 10))
      }
    }
  }
}

@Suite struct AtomicFileTests {
  @Test func `what exists is not overwritten unless asked`() throws {
    try inTemporaryFolder { folder in
      let path = folder + "/file"
      try AtomicFile.write("one", to: path, overwriting: false)
      #expect(throws: PlatformError.exists(path: path)) { try AtomicFile.write("two", to: path, overwriting: false) }
      #expect(try FileReader.contents(of: path) == Array("one".utf8))
      try AtomicFile.write("three", to: path, overwriting: true)
      #expect(try FileReader.contents(of: path) == Array("three".utf8))
    }
  }

  @Test func `an abandoned file leaves nothing behind`() throws {
    try inTemporaryFolder { folder in
      do {
        var file = try AtomicFile(path: folder + "/file", overwriting: false)
        try file.write([1, 2, 3])
      }
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty)
    }
  }

  @Test func `the folder of a path is what stands before its last name, however short that is`() {
    for (path, expected) in [
      ("a/b", "a"), ("a/bc/", "a"), ("b", ""), ("", ""), ("/b", "/"), ("/", "/"), ("a//b", "a"), ("/a/b//", "/a"),
    ] {
      #expect(folder(of: path) == expected, "\(path)")
    }
  }

  @Test func `an input/output error is exit 74, whatever met it`() {
    #expect(PlatformError.cannotCreate(path: "x", errno: EIO).diagnosis.exit == .inputOutput)
    #expect(PlatformError.writeFailed(path: "x", errno: EIO).diagnosis.exit == .inputOutput)
    #expect(PlatformError.cannotCreate(path: "x", errno: EACCES).diagnosis.exit == .cannotCreate)
  }

  @Test func `a folder that does not exist is exit 73`() {
    #expect(throws: PlatformError.cannotCreate(path: "no/such/folder/file", errno: ENOENT)) {
      try AtomicFile.write("x", to: "no/such/folder/file", overwriting: false)
    }
  }
}

@Suite struct FolderTests {
  @Test func `folders are made with those above them, once`() throws {
    try inTemporaryFolder { folder in
      try createFolder(folder + "/a/b/c/")
      try createFolder(folder + "/a/b/c")
      #expect(isFolder(folder + "/a/b/c"))
    }
  }

  @Test func `a file in the way is named`() throws {
    try inTemporaryFolder { folder in
      try AtomicFile.write("x", to: folder + "/file", overwriting: false)
      for path in [folder + "/file", folder + "/file/below"] {
        #expect(throws: PlatformError.cannotCreate(path: folder + "/file", errno: ENOTDIR)) { try createFolder(path) }
      }
    }
  }
}

@Suite struct ChecksumTests {
  /// FIPS 180-4's example and the empty message.
  @Test(arguments: [
    ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
  ])
  func `SHA-256 gives the standard's digests`(message: String, digest: String) throws {
    #expect(SHA256.hex(of: Array(message.utf8)) == digest)
    try inTemporaryFolder { folder in
      try AtomicFile.write(message, to: folder + "/message", overwriting: false)
      #expect(try SHA256.hex(ofFile: folder + "/message") == digest)
    }
  }
}

@Suite struct PrintableTests {
  @Test(arguments: [
    ("plain ü ✓", "plain ü ✓"), ("\u{1B}[31mred\n", "\\u{1b}[31mred\\u{a}"), ("a\u{202E}b", "a\\u{202e}b"),
    (String(repeating: "x", count: 300), String(repeating: "x", count: 200) + "…"),
  ])
  func `text from files cannot drive a terminal`(text: String, printed: String) {
    #expect(text.printable == printed)
  }
}

@Suite struct ThreadPoolTests {
  @Test(arguments: [1, 2, 7]) func `every index is visited once and results keep their order`(threads: Int) {
    #expect(ThreadPool(threads: threads).map(1000) { $0 * $0 } == (0..<1000).map { $0 * $0 })
  }
}
