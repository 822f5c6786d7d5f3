import ChestXray
import Engine
import Evaluation
import Tensors
import TestSupport
import Testing

@Suite struct ClassActivationMapTests {
  /// The maps that PyTorch computed in float64 from float32 weights; ours take float32 features, so 10⁻⁶ of the largest value:
  /// 20 products, each with 2⁻²⁴ of its features.
  @Test(arguments: ["reference", "reference-second"])
  func `maps are PyTorch's`(name: String) throws {
    let recorded = try RecordedTensors("small-densenet/\(name).safetensors")
    let isFirst = name == "reference"
    let weightsFile = try RecordedTensors("small-densenet/weights\(isFirst ? "" : "-second").safetensors")
    let architecture =
      isFirst
      ? DenseNetArchitecture(growthRate: 4, blockSizes: [2, 3], initialFeatures: 8, classCount: 14)
      : DenseNetArchitecture(growthRate: 3, blockSizes: [1, 2, 1], initialFeatures: 6, inputChannels: 1, classCount: 5)
    let layout = ParameterLayout(architecture)
    var weights = Weights(layout: layout, values: [Float](repeating: 0, count: layout.count))
    for parameter in layout.parameters { weights[parameter] = try weightsFile.values(parameter.name).map { Float($0) } }
    let extents = try recorded.shape("eval.features")
    let shape = FeatureShape(channels: extents[1], height: extents[2], width: extents[3])
    let features = try recorded.values("eval.features").map { Float($0) }
    let logits = try recorded.values("eval.logits")
    let cams = try recorded.values("eval.cam")
    for image in 0..<extents[0] {
      for label in 0..<architecture.classCount {
        let map = ClassActivationMap(
          features: features[image * shape.count..<(image + 1) * shape.count], shape: shape, weights: weights,
          index: label,
          logit: Float(logits[image * architecture.classCount + label]))
        let start = (image * architecture.classCount + label) * shape.area
        #expect(relativeDifference(map.values.map { Double($0) }, Array(cams[start..<start + shape.area])) < 1e-6)
        #expect(map.isConsistent)
        #expect(map.discrepancy < 1e-5)
      }
    }
  }

  @Test func `a map that is not the logit's is found out`() {
    let map = ClassActivationMap(height: 1, width: 2, values: [1, 3], bias: 0.5, logit: 2.6)
    #expect(!map.isConsistent)
    #expect(ClassActivationMap(height: 1, width: 2, values: [1, 3], bias: 0.5, logit: 2.5).isConsistent)
    #expect(EvaluationError.inconsistentMap(image: "a", finding: "b", discrepancy: 0.1).diagnosis.exit == .internalBug)
  }

  @Test func `the peak is the first of the largest cells, at its centre in the radiograph`() {
    let map = ClassActivationMap(height: 2, width: 3, values: [0, 5, 1, 5, 0, 0], bias: 0, logit: 0)
    #expect(map.peak == (0, 1))
    // A crop of 600 × 400 from (100, 50): cells of 200 × 200.
    let peak = map.peakPosition(in: CropWindow(x: 100, y: 50, width: 600, height: 400))
    #expect(peak.x == 400 && peak.y == 150)
  }
}

@Suite struct HeatmapImageTests {
  private let map = ClassActivationMap(height: 1, width: 2, values: [-1, 3], bias: -1, logit: 0)

  private func draw(
    _ map: ClassActivationMap, view: ImageView, size: HeatmapImage.Size, scale: HeatmapImage.Scale = .map,
    depth: Int = 8
  ) -> HeatmapImage {
    HeatmapImage(map, view: view, input: 4, size: size, scale: scale, depth: depth)
  }

  private let whole = ImageView(width: 8, height: 4, window: CropWindow(x: 0, y: 0, width: 8, height: 4))

  @Test func `at the map's size a pixel is a cell, from black to white`() {
    let picture = draw(map, view: whole, size: .map)
    #expect((picture.width, picture.height) == (2, 1))
    #expect(picture.pixels == [0, 255])
    #expect(picture.pgm == Array("P5\n2 1\n255\n".utf8) + [0, 255])
  }

  @Test func `sixteen bits are big-endian`() {
    let picture = draw(map, view: whole, size: .map, depth: 16)
    #expect(picture.pgm == Array("P5\n2 1\n65535\n".utf8) + [0, 0, 255, 255])
  }

  @Test func `the probability's scale is the sigmoid of map plus bias`() {
    // sigmoid(−2) = 0.1192, sigmoid(2) = 0.8808.
    #expect(draw(map, view: whole, size: .map, scale: .probability).pixels == [30, 225])
  }

  /// What PyTorch's `interpolate(mode="bilinear", align_corners=False)` gives for two cells on eight pixels:
  /// 0, 0, 1/8, 3/8, 5/8, 7/8, 1, 1.
  @Test func `cells stand at their centres when drawn larger`() {
    let row: [UInt16] = [0, 0, 32, 96, 159, 223, 255, 255]
    #expect(draw(map, view: whole, size: .original).pixels == row + row + row + row)
  }

  @Test func `what the network did not see is black, and the rest is where it was seen`() {
    // The crop of 4 × 4 in the middle of 8 × 4: cells of two pixels.
    let view = ImageView(width: 8, height: 4, window: CropWindow(x: 2, y: 0, width: 4, height: 4))
    let constant = ClassActivationMap(height: 2, width: 2, values: [1, 1, 1, 2], bias: 0, logit: 1.25)
    let picture = draw(constant, view: view, size: .original)
    #expect(picture.width == 8 && picture.height == 4)
    for row in 0..<4 {
      for column in [0, 1, 6, 7] { #expect(picture.pixels[row * 8 + column] == 0) }
    }
    // The largest cell is the lower right one: its pixels are 4 and 5 of rows 2 and 3, its corner is past its centre.
    #expect(picture.pixels[3 * 8 + 5] == 255)
    #expect(picture.pixels[0 * 8 + 2] == 0)
  }

  @Test func `a flat map is black`() {
    let flat = ClassActivationMap(height: 1, width: 2, values: [2, 2], bias: 0, logit: 2)
    #expect(draw(flat, view: whole, size: .map).pixels == [0, 0])
  }
}
