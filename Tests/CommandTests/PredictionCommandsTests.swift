import Foundation
import Platform
import TestSupport
import Testing

@Suite struct PredictCommandTests {
  @Test func `text, CSV and JSON say the same`() throws {
    try inTemporaryFolder { folder in
      let checkpoint = try importedCheckpoint(folder)
      let json = try Executable.run(["predict", checkpoint, SmallDemo.image, "--json"]).json()
      let findings = try #require(json["images"]?[0]?["findings"]?.array)
      #expect(findings.count == 14)
      #expect(findings[0]["name"] == "Atelectasis")
      for finding in findings {
        let (probability, logit) = (finding["probability"]?.double ?? -1, finding["logit"]?.double ?? .nan)
        // Nine printed digits.
        #expect(abs(probability - 1 / (1 + exp(-logit))) < 1e-8)
      }
      #expect(try Executable.run(["predict", checkpoint, SmallDemo.image, "--output", folder + "/p.csv"]).status == 0)
      let lines = String(decoding: try FileReader.contents(of: folder + "/p.csv"), as: UTF8.self).split(separator: "\n")
      #expect(lines.count == 2)
      #expect(lines[0].hasPrefix("Image Index,Patient ID,prob_Atelectasis,"))
      #expect(lines[1].hasPrefix("00000001_000.png,1,"))
      #expect(Double(lines[1].split(separator: ",")[2]) == findings[0]["probability"]?.double)
    }
  }

  @Test func `a folder is predicted whole, whatever the batch size and the threads`() throws {
    try inTemporaryFolder { folder in
      let checkpoint = try importedCheckpoint(folder)
      let images = SmallDemo.folder + "/images"
      let one = try Executable.run(["predict", checkpoint, images, "--json", "--batch-size", "1", "--threads", "1"])
      let many = try Executable.run(["predict", checkpoint, images, "--json", "--batch-size", "7", "--threads", "3"])
      #expect(one.status == 0)
      #expect(try one.json()["images"]?.array?.count == 60)
      #expect(one.out == many.out)
    }
  }

  /// From file to logit by the executable, against Pillow, torchvision and PyTorch in float64. The prepared pixels are the same
  /// bits; a logit of order 10 then keeps Float's 10⁻⁶ through 7 convolutions of up to 192 terms: 10⁻⁵ of the largest.
  @Test func `logits of pictures of every kind are PyTorch's`() throws {
    try inTemporaryFolder { folder in
      let checkpoint = try importedCheckpoint(folder)
      let recorded = try RecordedTensors("small-densenet/predictions.safetensors")
      let pictures = recorded.names.sorted()
      #expect(pictures.count == 6)
      let output = try Executable.run(
        ["predict", checkpoint] + pictures.map { fixture("images/\($0).png") } + ["--json"])
      let images = try #require(try output.json()["images"]?.array)
      for (image, name) in zip(images, pictures) {
        let logits = image["findings"]?.array?.compactMap { $0["logit"]?.double } ?? []
        let difference = relativeDifference(logits, try recorded.values(name))
        #expect(difference < 1e-5, "\(name) differs by \(difference)")
      }
    }
  }

  struct BadImage: Sendable {
    let name: String
    let bytes: [UInt8]
    let says: String
  }

  static let badImages: [BadImage] = {
    let dicom = [UInt8](repeating: 0, count: 128) + Array("DICM".utf8) + [2, 0, 0, 0]
    return [
      BadImage(name: "scan.png", bytes: dicom, says: "dcmj2pnm"),
      BadImage(name: "photo.png", bytes: [0xFF, 0xD8, 0xFF, 0xE0], says: "JPEG"),
      BadImage(name: "empty.png", bytes: [], says: "empty.png"),
      BadImage(name: "text.png", bytes: Array("hello".utf8), says: "text.png"),
    ]
  }()

  @Test(arguments: 0..<5) func `an image that cannot be read is exit 65 with what to do`(index: Int) throws {
    try inTemporaryFolder { folder in
      let checkpoint = try importedCheckpoint(folder)
      let whole = try FileReader.contents(of: SmallDemo.image)
      let bad =
        index < 4
        ? Self.badImages[index]
        : BadImage(name: "cut.png", bytes: Array(whole.prefix(whole.count / 2)), says: "cut.png")
      try AtomicFile.write(bad.bytes, to: folder + "/" + bad.name, overwriting: false)
      let output = try Executable.run(["predict", checkpoint, folder + "/" + bad.name, "--output", folder + "/p.csv"])
      #expect(output.status == 65)
      #expect(output.err.contains(bad.says), "\(output.err)")
      #expect(!FileManager.default.fileExists(atPath: folder + "/p.csv"))
    }
  }

  @Test func `a foreign weight file is sent to import-weights`() throws {
    let output = try Executable.run(["predict", fixture("small-densenet/weights.pt"), SmallDemo.image])
    #expect(output.status == 65)
    #expect(output.err.contains("chexnet import-weights"))
  }
}

@Suite struct HeatmapCommandTests {
  @Test func `maps have the sizes and depths that were asked for, and tell their numbers`() throws {
    try inTemporaryFolder { folder in
      let checkpoint = try importedCheckpoint(folder)
      for (size, depth, header) in [
        ("original", "8", "P5\n1024 1024\n255\n"), ("input", "16", "P5\n224 224\n65535\n"),
        ("map", "8", "P5\n28 28\n255\n"),
      ] {
        let output = try Executable.run([
          "heatmap", checkpoint, SmallDemo.image, "--output", folder + "/" + size, "--size", size, "--depth", depth,
          "--finding", "Mass,pleural thickening", "--json",
        ])
        #expect(output.status == 0, "\(output.err)")
        let picture = try FileReader.contents(of: folder + "/\(size)/00000001_000.Mass.pgm")
        #expect(picture.starts(with: header.utf8))
        let parts = header.split(whereSeparator: \.isWhitespace).compactMap { Int($0) }
        #expect(picture.count == header.utf8.count + parts[0] * parts[1] * (depth == "16" ? 2 : 1))
        let heatmaps = try #require(try output.json()["heatmaps"]?.array)
        #expect(heatmaps.map { $0["finding"]?.string } == ["Mass", "Pleural_Thickening"])
        let json = try JSONValue.parse(try FileReader.contents(of: folder + "/\(size)/00000001_000.Mass.json"))
        #expect(json["finding"] == "Mass")
        #expect(json["crop_window"]?["x"]?.double == 64 && json["crop_window"]?["width"]?.double == 896)
      }
    }
  }

  /// A list of quirks: NIH's header and name of Infiltration, fractions, a box over the edge, one outside, one twice,
  /// a finding that is not drawn, and an image that is not given.
  @Test func `boxes are scored by the published protocol, whatever the pictures' pixels`() throws {
    try inTemporaryFolder { folder in
      let checkpoint = try importedCheckpoint(folder)
      let list = """
        Image Index,Finding Label,Bbox [x,y,w,h],,,
        00000001_000.png,Infiltrate,64.5,64.25,895.5,895.125
        00000001_000.png,Mass,900.5,0,300,1024
        00000001_000.png,Mass,900.5,0,300,1024
        00000001_000.png,Mass,0,0,1024,1024
        00000001_000.png,Mass,1100,0,10,10
        00000001_000.png,Hernia,0,0,10,10
        00000002_000.png,Mass,0,0,10,10

        """
      try AtomicFile.write(list, to: folder + "/boxes.csv", overwriting: false)
      func run(_ name: String, _ options: [String]) throws -> Executable.Output {
        let output = try Executable.run(
          [
            "heatmap", checkpoint, SmallDemo.image, "--output", folder + "/" + name, "--finding", "Mass,Infiltration",
            "--boxes", folder + "/boxes.csv",
          ] + options)
        #expect(output.status == 0, "\(output.err)")
        return output
      }
      let json = try #require(try run("a", ["--json"]).json()["localization"])
      #expect(json["findings"]?.array?.map { $0["name"]?.string } == ["Infiltration", "Mass"])
      #expect(json["boxes"] == 3 && json["maps"] == 2 && json["duplicates"] == 1 && json["clipped"] == 1)
      #expect(
        json["left_out"] == ["image_not_given": 1, "finding_not_a_class": 0, "map_not_drawn": 1, "outside_image": 1])
      // The whole picture holds every detection.
      #expect(json["findings"]?[1]?["iobb"]?[4]?["hits"]?.integer ?? 0 >= 1)
      #expect(json["findings"]?[1]?["iobb"]?[4]?["false_detections"] == 0)
      let other = try run("b", ["--json", "--size", "map", "--scale", "probability", "--depth", "16"])
      #expect(try other.json()["localization"] == json)

      let text = try run("c", []).out
      #expect(text.contains("localisation (Wang et al., CVPR 2017): 3 boxes on 2 maps, "))
      #expect(text.contains("left out: 1 box of images that are not among these\n"))
      #expect(text.contains("\npointing game: "))
      // Behind the names of the files.
      let lines = text.split(separator: "\n")
      #expect(lines.count > 20 && lines[2...].allSatisfy { $0.count <= 80 })
    }
  }

  @Test func `without boxes there is no score`() throws {
    try inTemporaryFolder { folder in
      let arguments = ["heatmap", try importedCheckpoint(folder), SmallDemo.image, "--output", folder + "/a", "--json"]
      #expect(try Executable.run(arguments).json()["localization"] == .null)
    }
  }

  @Test func `an unknown finding is exit 64 with the nearest name`() throws {
    try inTemporaryFolder { folder in
      let checkpoint = try importedCheckpoint(folder)
      let output = try Executable.run([
        "heatmap", checkpoint, SmallDemo.image, "--output", folder + "/h", "--finding", "Masss",
      ])
      #expect(output.status == 64)
      #expect(output.err.contains("did you mean Mass?"))
      #expect(!FileManager.default.fileExists(atPath: folder + "/h"))
    }
  }
}
