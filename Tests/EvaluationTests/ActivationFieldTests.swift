import Checkpoints
import ChestXray
import Engine
import Evaluation
import Foundation
import Platform
import Tensors
import TestSupport
import Testing

/// Where maps come to lie on a radiograph.
@Suite struct ActivationFieldTests {
  /// The definition, pixel by pixel in Double: between the centres of cells it is linear, beyond the outer ones it stays; the mean of the
  /// crops that cover the pixel's centre.
  private func expected(
    _ maps: [ClassActivationMap], _ windows: [CropWindow], x: Int, y: Int
  ) -> Double? {
    var values: [Double] = []
    for (map, window) in zip(maps, windows) {
      var across = (Double(x) + 0.5 - window.x) / window.width
      let down = (Double(y) + 0.5 - window.y) / window.height
      guard (0..<1).contains(across), (0..<1).contains(down) else { continue }
      if window.isMirrored { across = 1 - across }
      let column = min(max(across * Double(map.width) - 0.5, 0), Double(map.width - 1))
      let row = min(max(down * Double(map.height) - 0.5, 0), Double(map.height - 1))
      // Every cell has a tent around it.
      var value = 0.0
      for r in 0..<map.height {
        for c in 0..<map.width {
          let weight = max(1 - abs(row - Double(r)), 0) * max(1 - abs(column - Double(c)), 0)
          value += weight * Double(map.values[r * map.width + c])
        }
      }
      values.append(value)
    }
    return values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
  }

  private func randomMap(_ random: inout CounterRandom) -> ClassActivationMap {
    let values = (0..<12).map { _ in Float(random.uniform(-3, 5)) }
    return ClassActivationMap(height: 3, width: 4, values: values, bias: 0.5, logit: 0)
  }

  /// A float32 has 24 bits: of 65535 levels an eighth is 2·10⁻⁶ of the range, and a dozen roundings of 6·10⁻⁸ are less. So no level is
  /// off by more than one.
  @Test(arguments: [1, 2, 10])
  func `a pixel has the mean of the crops that cover it, each linear between its cells`(count: Int) {
    var random = CounterRandom(seed: UInt64(count), purpose: .shuffle)
    for _ in 0..<20 {
      let (width, height) = (23 + random.below(20), 17 + random.below(20))
      let maps = (0..<count).map { _ in randomMap(&random) }
      let windows = (0..<count).map { _ in
        CropWindow(
          x: random.uniform(-3, 12), y: random.uniform(-3, 9), width: random.uniform(8, 30),
          height: random.uniform(7, 25), isMirrored: random.uniform() < 0.5)
      }
      let field = ActivationField(maps, windows: windows, width: width, height: height)
      let values = (0..<height * width).map { expected(maps, windows, x: $0 % width, y: $0 / width) }
      let seen = values.compactMap(\.self)
      let (low, high) = count == 1 ? (maps[0].minimum, maps[0].maximum) : (field.minimum, field.maximum)
      if count > 1 {
        #expect(abs(Double(field.minimum) - (seen.min() ?? 0)) < 1e-5)
        #expect(abs(Double(field.maximum) - (seen.max() ?? 0)) < 1e-5)
        let peak = values[Int(field.peak.y) * width + Int(field.peak.x)]
        #expect(abs((peak ?? -100) - (seen.max() ?? 0)) < 1e-5)
      }
      let picture = HeatmapImage(field, bias: 0.5, scale: .map, depth: 16)
      let probable = HeatmapImage(field, bias: 0.5, scale: .probability, depth: 16)
      for (index, value) in values.enumerated() {
        let gray = value.map { ($0 - Double(low)) / Double(high - low) } ?? 0
        #expect(abs(Double(picture.pixels[index]) - gray * 65535) <= 1)
        let sigmoid = value.map { 1 / (1 + exp(-$0 - 0.5)) } ?? 0
        #expect(abs(Double(probable.pixels[index]) - sigmoid * 65535) <= 1)
      }
    }
  }

  // MARK: A network whose activation is known

  /// A network that answers with the brightness of its input, smoothed: all of its filters but one are 0.
  private func brightness(_ geometry: Preprocessing.Geometry) -> Checkpoint {
    let architecture = DenseNetArchitecture(growthRate: 2, blockSizes: [1], initialFeatures: 2, classCount: 1)
    let layout = ParameterLayout(architecture)
    var weights = Weights(layout: layout, values: [Float](repeating: 0, count: layout.count))
    for parameter in layout.parameters {
      let count = parameter.range.count
      if parameter.name.contains("norm") && (parameter.name.hasSuffix(".weight") || parameter.name.hasSuffix("_var")) {
        weights[parameter] = [Float](repeating: 1, count: count)
      } else if parameter.name == "features.conv0.weight" {
        // The first filter is the mean.
        weights[parameter] = (0..<count).map { $0 < count / 2 ? 2 / Float(count) : 0 }
      } else if parameter.name == "classifier.weight" {
        weights[parameter] = [1] + [Float](repeating: 0, count: count - 1)
      }
    }
    let preprocessing = Preprocessing(geometry: geometry, mean: [0, 0, 0], deviation: [1, 1, 1])
    return Checkpoint(
      weights: weights,
      metadata: CheckpointMetadata(architecture: architecture, classes: ["Bright"], preprocessing: preprocessing))
  }

  /// Cells of the network's map: its input of 64 × 64 goes down by 4.
  private static let cells = 16.0

  @Test(
    arguments: [
      (Preprocessing.Geometry.centerCrop(resize: 128, crop: 64), CropCount.one, [(320, 240), (250, 180), (400, 300)]),
      (.centerCrop(resize: 96, crop: 64), .ten, [(320, 240), (40, 50), (600, 60), (90, 430), (500, 400)]),
      (.resize(size: 64), .one, [(320, 240), (60, 60), (590, 420), (560, 70)]),
      (.squareResize(size: 64), .one, [(320, 240), (130, 60), (500, 400)]),
    ] as [(Preprocessing.Geometry, CropCount, [(Int, Int)])])
  func `a bright square is found where it is, whatever the network was shown`(
    geometry: Preprocessing.Geometry, crops: CropCount, places: [(x: Int, y: Int)]
  ) throws {
    try inTemporaryFolder { folder in
      var images: [String] = []
      for (number, place) in places.enumerated() {
        var pixels = [UInt8](repeating: 0, count: 640 * 480)
        for y in place.y - 20..<place.y + 20 { for x in place.x - 20..<place.x + 20 { pixels[y * 640 + x] = 255 } }
        images.append("\(folder)/\(number).png")
        let image = Radiograph(width: 640, height: 480, channels: 1, pixels: pixels)
        try AtomicFile.write(try image.png(path: images[number]), to: images[number], overwriting: false)
      }
      let checkpoint = brightness(geometry)
      let dataset = try Dataset(images: images, preprocessing: checkpoint.metadata.preprocessing)
      let predictor = try Predictor(
        checkpoint, backend: try backend(named: "cpu", pool: ThreadPool(threads: 2)), batchSize: 3, crops: crops,
        pool: ThreadPool(threads: 2))
      var found: [Heatmap] = []
      try HeatmapWriter(predictor, options: HeatmapWriter.Options(), pool: ThreadPool(threads: 2))
        .write(dataset, to: folder + "/maps") { found.append($0) }
      #expect(found.count == places.count)
      for (heatmap, place) in zip(found, places) {
        // A cell of what the network saw: its filters and its pooling move what they see by half of one.
        let seen = ImagePreparationWindow.side(geometry, in: heatmap.window, crops: crops)
        #expect(abs(heatmap.peak.x - Double(place.x)) <= 20 + seen.width / Self.cells, "\(heatmap.peak) for \(place)")
        #expect(abs(heatmap.peak.y - Double(place.y)) <= 20 + seen.height / Self.cells, "\(heatmap.peak) for \(place)")
        // The picture is brightest there too.
        let picture = try FileReader.contents(of: heatmap.path)
        let samples = picture.suffix(640 * 480)
        let brightest = try #require(samples.indices.max { samples[$0] < samples[$1] }) - samples.startIndex
        #expect(abs(Double(brightest % 640) - Double(place.x)) <= 20 + seen.width / Self.cells)
        #expect(abs(Double(brightest / 640) - Double(place.y)) <= 20 + seen.height / Self.cells)
      }
    }
  }

  private enum ImagePreparationWindow {
    /// What one crop shows, in pixels of a radiograph of 640 × 480.
    static func side(
      _ geometry: Preprocessing.Geometry, in window: CropWindow, crops: CropCount
    ) -> (width: Double, height: Double) {
      guard case .centerCrop(let resize, let crop) = geometry else { return (window.width, window.height) }
      let side = 480 * Double(crop) / Double(resize)
      return (side, side)
    }
  }
}
