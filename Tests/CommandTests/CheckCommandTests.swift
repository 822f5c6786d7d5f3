import ChestXray
import Foundation
import Platform
import TestSupport
import Testing

@Suite struct CheckCommandTests {
  /// Two lists of a small data set, and what the callers add to them.
  private func dataSet(_ folder: String, first: [String], second: [String]) throws {
    try createFolder(folder + "/images")
    for image in ["00000001_000", "00000001_001", "00000002_000", "00000003_000"] {
      try AtomicFile.write(
        FileReader.contents(of: SmallDemo.folder + "/images/" + image + ".png"), to: "\(folder)/images/\(image).png",
        overwriting: false)
    }
    for (name, images) in [("first", first), ("second", second)] {
      let rows = images.map {
        $0 + ".png" + String(repeating: " 1", count: 7) + String(repeating: " 0", count: 7) + "\n"
      }
      try AtomicFile.write(rows.joined(), to: "\(folder)/\(name).txt", overwriting: true)
    }
  }

  private func check(_ folder: String, _ more: [String] = []) throws -> Executable.Output {
    try Executable.run(
      ["check", "--data", folder + "/images", "--lists", folder + "/first.txt", folder + "/second.txt"] + more)
  }

  @Test func `a sound data set has nothing wrong`() throws {
    try inTemporaryFolder { folder in
      try dataSet(folder, first: ["00000001_000", "00000002_000"], second: ["00000003_000"])
      let output = try check(folder)
      #expect(output.status == 0)
      #expect(output.out.contains("first.txt: 2 images of 2 patients"))
      #expect(output.out.hasSuffix("nothing is wrong\n"))
      let json = try check(folder, ["--json"]).json()
      #expect(json["faults"]?.integer == 0)
      #expect(json["decoded"]?.integer == 3)
      #expect(json["lists"]?[0]?["findings"]?[6]?["positives"]?.integer == 2)
      #expect(json["lists"]?[0]?["findings"]?[7]?["negatives"]?.integer == 2)
    }
  }

  @Test func `all that is wrong is found at once`() throws {
    try inTemporaryFolder { folder in
      try dataSet(
        folder, first: ["00000001_000", "00000002_000", "00000009_000"],
        second: ["00000001_001", "00000003_000", "00000004_000", "00000001_000"])
      // A file cut off, and the same picture, in colour, under another name.
      let path = folder + "/images/00000003_000.png"
      try AtomicFile.write(Array(try FileReader.contents(of: path).dropLast(200)), to: path, overwriting: true)
      let gray = try Radiograph.read(folder + "/images/00000002_000.png")
      let color = Radiograph(
        width: gray.width, height: gray.height, channels: 3, pixels: gray.pixels.flatMap { [$0, $0, $0] })
      let copy = folder + "/images/00000004_000.png"
      try AtomicFile.write(try color.png(path: copy), to: copy, overwriting: true)
      let output = try check(folder, ["--json"])
      #expect(output.status == 65)
      let json = try output.json()
      #expect(json["lists"]?[0]?["missing"] == ["00000009_000.png"])
      #expect(json["unreadable"]?.array?.count == 1)
      #expect(json["unreadable"]?[0]?["path"]?.string == path)
      #expect(json["unreadable"]?[0]?["id"]?.string?.hasPrefix("image.") == true)
      #expect(json["copies"]?.array?.count == 1)
      #expect(json["overlaps"]?[0]?["images"] == ["00000001_000.png"])
      #expect(json["overlaps"]?[0]?["patients"] == ["1"])
      #expect(json["faults"]?.integer == 5)
      let text = try check(folder)
      #expect(text.status == 65)
      let lines = [
        "missing: 1", "unreadable: 1", "the same picture under several names: 1",
        "patients in [1] and [2] (33.3 % of [1], 33.3 % of [2]): 1", "5 faults",
      ]
      for line in lines { #expect(text.out.contains(line), "\(text.out)") }
    }
  }

  @Test func `without a folder the lists alone are checked, and long lists of faults are cut`() throws {
    try inTemporaryFolder { folder in
      let images = (0..<150).map { "0000\(1000 + $0)_000" }
      try dataSet(folder, first: images, second: images.reversed())
      let lists = ["--lists", folder + "/first.txt", folder + "/second.txt"]
      let output = try Executable.run(["check"] + lists)
      #expect(output.status == 65)
      #expect(output.out.contains("no --data: no image was looked for"))
      #expect(output.out.contains("images in [1] and [2] (100.0 % of [1], 100.0 % of [2]): 150\n"))
      #expect(output.out.contains("  00001099_000.png\n  … and 50 more; --json names all\n"))
      #expect(try Executable.run(["check", "--json"] + lists).json()["overlaps"]?[0]?["images"]?.array?.count == 150)
    }
  }

  @Test func `missing images alone are exit 66, a missing list or folder is an error`() throws {
    try inTemporaryFolder { folder in
      try dataSet(folder, first: ["00000001_000", "00000008_000"], second: ["00000003_000"])
      #expect(try check(folder).status == 66)
      #expect(try Executable.run(["check", "--data", folder, "--lists", folder + "/none.txt"]).status == 66)
      #expect(try Executable.run(["check", "--data", folder + "/none", "--lists", folder + "/first.txt"]).status == 66)
    }
  }
}
