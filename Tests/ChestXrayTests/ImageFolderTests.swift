import Foundation
import Platform
import Testing

@testable import ChestXray

@Suite struct ImageFolderTests {
  /// Calls `body` with a folder that has these (empty) files.
  private func withFolder(_ files: [String], _ body: (ImageFolder) throws -> Void) throws {
    let path = try temporaryFolder()
    defer { try? FileManager.default.removeItem(atPath: path) }
    for file in files {
      let folder = (path + "/" + file as NSString).deletingLastPathComponent
      try createFolder(folder)
      try AtomicFile.write("", to: path + "/" + file, overwriting: false)
    }
    try body(ImageFolder(path: path))
  }

  @Test(
    "an image is found in every layout, with and without a prefix in the list",
    arguments: [
      ("00000001_000.png", "00000001_000.png"), ("00000001_000.png", "images_001/00000001_000.png"),
      ("images_001/images/00000001_000.png", "00000001_000.png"),
      ("images_001/images/00000001_000.png", "images_001/00000001_000.png"),
      ("images_001/00000001_000.png", "images_001/00000001_000.png"),
      ("images_003/00000001_000.png", "images_001/00000001_000.png"), ("a/b/c.png", "c.png"), ("a/b/c.png", "b/c.png"),
      ("a/b/c.png", "./a/c.png"), ("c.png", "a/c.png"),
    ])
  func layouts(file: String, name: String) throws {
    try withFolder([file, "other.png", ".hidden.png", "notes.txt"]) { folder in
      let paths = try folder.resolve([name])
      #expect(paths == [folder.path + "/" + file])
    }
  }

  @Test("the list's prefix decides between files of the same name")
  func prefix() throws {
    try withFolder(["p1/s1/view.png", "p1/s2/view.png", "p2/s1/view.png"]) { folder in
      let decided = try folder.resolve(["p2/view.png", "p1/s2/view.png"])
      #expect(decided.map { String($0.suffix(14)) } == ["p2/s1/view.png", "p1/s2/view.png"])
      let paths = ["p1/s1/view.png", "p1/s2/view.png"]
      #expect(throws: ChestXrayError.folder(path: folder.path, .ambiguous(name: "p1/view.png", paths: paths))) {
        try folder.resolve(["p1/view.png"])
      }
    }
  }

  @Test("a file of the right name in the wrong folder is not the image")
  func wrongFolder() throws {
    try withFolder(["p1/view.png"]) { folder in
      let fault = FolderFault.imagesMissing(["p2/view.png"], total: 1)
      #expect(throws: ChestXrayError.folder(path: folder.path, fault)) { try folder.resolve(["p2/view.png"]) }
    }
  }

  @Test("two names that lead to one file are an error")
  func namedTwice() throws {
    try withFolder(["view.png"]) { folder in
      let fault = FolderFault.namedTwice(path: "view.png", first: "p1/view.png", second: "p2/view.png")
      #expect(throws: ChestXrayError.folder(path: folder.path, fault)) {
        try folder.resolve(["p1/view.png", "p2/view.png"])
      }
    }
  }

  @Test("missing images are counted and all of them named")
  func missing() throws {
    try withFolder(["a.png"]) { folder in
      let names = ["a.png"] + (1...8).map { "m\($0).png" }
      let error = #expect(throws: ChestXrayError.self) { try folder.resolve(names) }
      let missing = (1...8).map { "m\($0).png" }
      #expect(error == .folder(path: folder.path, .imagesMissing(missing, total: 9)))
      #expect(error?.diagnosis.exit == .inputMissing)
      #expect(error?.diagnosis.message.hasPrefix("8 of 9 images") == true)
      #expect(error?.diagnosis.details == missing)
    }
  }

  @Test("the images of a folder are listed in order; a folder without any is an error")
  func images() throws {
    try withFolder(["b/x.png", "a.PNG", "b/a.png", "c.txt"]) { folder in
      let images = try folder.images()
      #expect(images == ["a.PNG", "b/a.png", "b/x.png"])
    }
    try withFolder(["c.txt"]) { folder in
      #expect(throws: ChestXrayError.folder(path: folder.path, .noImages)) { try folder.images() }
    }
  }

  @Test("links in a circle come to an end")
  func circle() throws {
    try withFolder(["a/x.png"]) { folder in
      try FileManager.default.createSymbolicLink(atPath: folder.path + "/a/again", withDestinationPath: folder.path)
      #expect(try ImageFolder(path: folder.path).images().count > 1)
    }
  }

  @Test("a folder that is none is a missing input")
  func noFolder() {
    let error = #expect(throws: ChestXrayError.self) { try ImageFolder(path: "/nowhere") }
    #expect(error == .folder(path: "/nowhere", .notAFolder))
    #expect(error?.diagnosis.exit == .inputMissing)
  }
}
