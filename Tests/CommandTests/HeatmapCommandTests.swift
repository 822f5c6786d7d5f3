import ChestXray
import Foundation
import Platform
import TestSupport
import Testing

/// `heatmap` beyond one crop and one picture; what it had before is in `PredictionCommandsTests`.
@Suite struct HeatmapMapsCommandTests {
  /// The samples of a PGM of 16 bits, as shares of its largest.
  private func samples(_ path: String) throws -> [Double] {
    let bytes = try FileReader.contents(of: path)
    var ends = 0
    let start = try #require(
      bytes.firstIndex { byte in
        ends += byte == 10 ? 1 : 0
        return ends == 3
      })
    #expect(String(decoding: bytes[..<start], as: UTF8.self).hasSuffix("\n65535"))
    let body = Array(bytes[(start + 1)...])
    return stride(from: 0, to: body.count, by: 2).map { Double(Int(body[$0]) << 8 | Int(body[$0 + 1])) / 65535 }
  }

  /// Maps that PyTorch drew in float64 (`Tools/make-fixtures/heatmaps.py`). A level of 16 bits is 1.5·10⁻⁵ of the range; what Float's seven
  /// convolutions leave is 10⁻⁵ of the largest activation, here less than three times the range.
  @Test(arguments: ["tall", "rgb8"], [1, 10])
  func `a map in the radiograph's pixels is PyTorch's`(image: String, crops: Int) throws {
    try inTemporaryFolder { folder in
      let checkpoint = try importedCheckpoint(folder)
      let output = try Executable.run([
        "heatmap", checkpoint, fixture("images/\(image).png"), "--finding", "Hernia", "--depth", "16", "--crops",
        "\(crops)", "--output", folder + "/maps",
      ])
      #expect(output.status == 0, "\(output.err)")
      let found = try samples(folder + "/maps/\(image).Hernia.pgm")
      let bytes = try FileReader.contents(of: fixture("images/\(image).cam-\(crops).f32"))
      #expect(bytes.count == 4 * found.count)
      var (seen, worst) = (0, 0.0)
      for (index, value) in found.enumerated() {
        let bits = (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[4 * index + $1]) << (8 * UInt32($1)) }
        let expected = Float(bitPattern: bits)
        if expected < 0 {
          #expect(value == 0)
        } else {
          seen += 1
          worst = max(worst, abs(value - Double(expected)))
        }
      }
      #expect(worst <= 1e-4, "off by \(worst) of the range")
      #expect(seen > found.count / 2)
    }
  }

  @Test func `ten crops say the mean of their probabilities, the same in predict and heatmap`() throws {
    try inTemporaryFolder { folder in
      let checkpoint = try importedCheckpoint(folder)
      let images = [SmallDemo.image, SmallDemo.folder + "/images/00000001_001.png"]
      let ten = try Executable.run(["predict", checkpoint] + images + ["--crops", "10", "--json"])
      // The batch holds fewer crops than an image has, or the crops of several.
      for size in ["1", "20"] {
        let other = try Executable.run(
          ["predict", checkpoint] + images + ["--crops", "10", "--json", "--batch-size", size])
        #expect(other.out == ten.out)
      }
      let findings = try #require(try ten.json()["images"]?[0]?["findings"]?.array)
      #expect(findings.allSatisfy { $0["logit"] == .null })
      let maps = try Executable.run(
        ["heatmap", checkpoint, images[0], "--crops", "10", "--finding", "all", "--json", "--output", folder + "/maps"])
      let heatmaps = try #require(try maps.json()["heatmaps"]?.array)
      #expect(heatmaps.count == 14)
      for (heatmap, finding) in zip(heatmaps, findings) {
        let (found, expected) = (heatmap["probability"]?.double ?? -1, finding["probability"]?.double ?? -2)
        #expect(abs(found - expected) < 1e-8)
        #expect(heatmap["crops"]?.integer == 10)
        // All of a square image.
        #expect(heatmap["crop_window"]?["width"]?.double == 1024)
      }
      let small = try Executable.run(
        ["heatmap", checkpoint, images[0], "--crops", "10", "--size", "map", "--output", folder + "/no"])
      #expect(small.status == 64 && small.err.contains("--size map"))
      let five = try Executable.run(["predict", checkpoint, images[0], "--crops", "7"])
      #expect(five.status == 64)
    }
  }

  @Test func `a masked border is in neither picture, range nor peak`() throws {
    try inTemporaryFolder { folder in
      let checkpoint = try importedCheckpoint(folder)
      func draw(_ name: String, _ more: [String]) throws -> (Executable.Output, JSONValue) {
        let output = try Executable.run(
          [
            "heatmap", checkpoint, SmallDemo.image, "--finding", "Mass", "--size", "map", "--json", "--output",
            folder + name,
          ]
            + more)
        return (output, output.status == 0 ? try output.json()["heatmaps"]?[0] ?? .null : .null)
      }
      let whole = try draw("/whole", ["--depth", "16"]).1
      let masked = try draw("/masked", ["--depth", "16", "--mask-border", "1"]).1
      let cells = try samples(folder + "/whole/00000001_000.Mass.pgm")
      let inner = try samples(folder + "/masked/00000001_000.Mass.pgm")
      let side = Int(Double(cells.count).squareRoot())
      let (low, high) = (whole["minimum"]?.double ?? 0, whole["maximum"]?.double ?? 0)
      let values = cells.map { low + $0 * (high - low) }
      func isInside(_ index: Int) -> Bool {
        (1..<side - 1).contains(index % side) && (1..<side - 1).contains(index / side)
      }
      let inside = values.indices.filter(isInside)
      let level = (high - low) / 65535
      #expect(abs((masked["minimum"]?.double ?? 0) - (inside.map { values[$0] }.min() ?? 1)) <= level)
      #expect(abs((masked["maximum"]?.double ?? 0) - (inside.map { values[$0] }.max() ?? 1)) <= level)
      #expect(inner.indices.filter { !isInside($0) }.allSatisfy { inner[$0] == 0 })
      #expect(inside.contains { inner[$0] == 1 })
      #expect(masked["probability"] == whole["probability"] && masked["masked_border"]?.integer == 1)
      let all = try draw("/all", ["--mask-border", "\((side + 1) / 2)"]).0
      #expect(all.status == 64 && all.err.contains("leaves nothing"), "\(all.err)")
    }
  }

  @Test func `overlays and the sheet show radiographs, maps, boxes and probabilities, and nothing that could run`()
    throws
  {
    try inTemporaryFolder { folder in
      let checkpoint = try importedCheckpoint(folder)
      // A name that is none in HTML.
      let image = folder + "/<b>&\"'.png"
      try FileManager.default.copyItem(atPath: SmallDemo.image, toPath: image)
      let boxes = folder + "/boxes.csv"
      try AtomicFile.write(
        "Image Index,Finding Label,Bbox [x,y,w,h],,,\n\"<b>&\"\"'.png\",Mass,100,200,300,250\n", to: boxes,
        overwriting: false)
      let output = try Executable.run([
        "heatmap", checkpoint, image, SmallDemo.image, "--finding", "Mass,Hernia", "--overlay", "--sheet", "--boxes",
        boxes,
        "--json", "--output", folder + "/maps",
      ])
      #expect(output.status == 0, "\(output.err)")
      let heatmaps = try #require(try output.json()["heatmaps"]?.array)
      #expect(heatmaps.count == 4)
      for heatmap in heatmaps {
        let overlay = try Radiograph.read(try #require(heatmap["overlay"]?.string))
        #expect((overlay.width, overlay.height, overlay.channels) == (1024, 1024, 3))
      }
      let page = String(decoding: try FileReader.contents(of: folder + "/maps/sheet.html"), as: UTF8.self)
      #expect(page.contains("contains patient images and identifiers"))
      #expect(page.contains("&lt;b&gt;&amp;&quot;&#39;.png") && !page.contains("<b>"))
      #expect(page.components(separatedBy: "data:image/jpeg;base64,").count - 1 == 6)
      // On the radiograph, and on the map of its finding.
      #expect(
        page.components(separatedBy: "<rect x=\"100.0\" y=\"200.0\" width=\"300.0\" height=\"250.0\"/>").count - 1 == 2)
      #expect(!page.contains("<script") && !page.contains("http"))
      let probability = try #require(heatmaps[0]["probability"]?.double)
      #expect(page.contains("Mass " + String(format: "%.3f", probability)))
      // Nothing is there twice, and nothing is lost.
      let again = try Executable.run([
        "heatmap", checkpoint, SmallDemo.image, "--sheet", "--output", folder + "/maps",
      ])
      #expect(again.status == 73 && again.err.contains("sheet.html"), "\(again.err)")
    }
  }
}
