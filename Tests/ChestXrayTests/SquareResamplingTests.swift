import Platform
import Tensors
import Testing

@testable import ChestXray

/// Expected values: torchxrayvision 1.5.7 on scikit-image 0.26 (`Tools/make-fixtures/torchxrayvision_images.py`).
@Suite struct SquareResamplingTests {
  /// A picture, the size it is resized to, and the side of its central square.
  struct Case: CustomTestStringConvertible, Sendable {
    var image: String
    var size: Int
    var side: Int

    init(_ image: String, _ size: Int, side: Int) { (self.image, self.size, self.side) = (image, size, side) }

    /// The name of its fixture.
    var testDescription: String { "\(image).xrv-\(size).f32" }

    /// The bound that `SquareResampling` derives, (T + 5) u v, of values within ±1024.
    var tolerance: Float {
      let weights = SquareWeights(from: side, to: size).inputs.map(\.count).max() ?? 0
      return Float(weights + 5) * 0x1p-24 * 1024
    }
  }

  private static func preparation(_ size: Int) throws -> ImagePreparation {
    try ImagePreparation(.torchXRayVision(imageSize: size))
  }

  @Test(
    arguments: [
      // Wide, with 16 columns gone at the left and 15 at the right; tall, with 16 rows and 15; about 1024 → 224.
      Case("wide", 24, side: 97), Case("tall", 31, side: 97), Case("square", 28, side: 130),
      Case("square", 1, side: 130),
      // A Gaussian of a single weight, the size as it is, and larger than the picture.
      Case("gray8", 46, side: 47), Case("gray8", 47, side: 47), Case("gray8", 56, side: 47),
      // Of colours the red; alpha is ignored.
      Case("rgb8", 24, side: 47), Case("rgba8", 24, side: 47), Case("gray-alpha8", 24, side: 47),
      Case("palette8", 24, side: 47),
    ]) func `values are torchxrayvision's but for the rounding of Float`(square: Case) throws
  {
    let values = try Self.preparation(square.size).values(of: radiograph("\(square.image).png"))
    let expected = try floatFixture(square.testDescription)
    #expect(values.count == expected.count)
    let difference = zip(values, expected).map { abs($0 - $1) }.max() ?? .infinity
    #expect(difference <= square.tolerance, "\(difference) with a tolerance of \(square.tolerance)")
  }

  @Test func `a picture of the network's size has torchxrayvision's bits`() throws {
    let values = try Self.preparation(47).values(of: radiograph("gray8.png"))
    #expect(values.map(\.bitPattern) == (try floatFixture("gray8.xrv-47.f32")).map(\.bitPattern))
  }

  @Test(arguments: [
    (128, 97, 16, 0), (97, 128, 0, 16), (97, 96, 0, 0), (98, 97, 1, 0), (99, 97, 1, 0), (1024, 1024, 0, 0),
    (1, 9, 0, 4),
  ])
  func `the window is the central square, in the pixels of the original image`(
    width: Int, height: Int, x: Int, y: Int
  ) throws {
    let image = Radiograph(
      width: width, height: height, channels: 1, pixels: [UInt8](repeating: 7, count: width * height))
    let side = Double(min(width, height))
    let window = try Self.preparation(8).prepare(image).window
    #expect(window == CropWindow(x: Double(x), y: Double(y), width: side, height: side))
  }

  /// Beyond an image is 0, which is middle gray; but no value leaves the range of the image's own.
  @Test(arguments: [(0, 64), (128, 64), (255, 64), (255, 9), (0, 8)] as [(UInt8, Int)])
  func `an even image stays even up to its edges`(level: UInt8, side: Int) throws {
    let image = Radiograph(
      width: side, height: side, channels: 1, pixels: [UInt8](repeating: level, count: side * side))
    let value = (2 * (Float(level) / 255) - 1) * 1024
    let values = try Self.preparation(9).values(of: image)
    #expect(values.allSatisfy { $0 == value })
  }

  @Test func `three channels show the same gray, each with its own numbers`() throws {
    let image = try radiograph("rgb8.png")
    let one = try Self.preparation(24).values(of: image)
    let same = try #require(Preprocessing.torchXRayVision(imageSize: 24).withChannels(3))
    #expect(try ImagePreparation(same).values(of: image) == one + one + one)
    var other = same
    other.deviation[2] = 1 / 1024
    #expect(try ImagePreparation(other).values(of: image) == one + one + one.map { $0 / 2 })
  }

  @Test func `a mirrored image is the image, columns from right to left`() throws {
    let image = try radiograph("wide.png")
    let preparation = try Self.preparation(24)
    let plain = preparation.prepare(image)
    let values = preparation.values(plain)
    let mirrored = (0..<24).flatMap { row in values[row * 24..<(row + 1) * 24].reversed() }
    var seen = Set<Bool>()
    for sample in 0..<16 {
      var random = CounterRandom(seed: 1, purpose: .augmentation, epoch: 0, sample: sample)
      let prepared = preparation.prepare(image, augmentation: .flip, random: &random)
      var window = plain.window
      window.isMirrored = prepared.window.isMirrored
      #expect(prepared.window == window)
      #expect(preparation.values(prepared) == (window.isMirrored ? mirrored : values))
      seen.insert(window.isMirrored)
    }
    #expect(seen == [true, false])
  }

  /// RandomResizedCrop is torchvision's for every geometry.
  @Test func `a random part is resized as Pillow does it`() throws {
    let image = try radiograph("square.png")
    var random = CounterRandom(seed: 5, purpose: .augmentation, epoch: 2, sample: 3)
    let preparation = try Self.preparation(56)
    let prepared = preparation.prepare(image, augmentation: .cropFlip(), random: &random)
    let window = prepared.window
    let box = PixelBox(x: Int(window.x), y: Int(window.y), width: Int(window.width), height: Int(window.height))
    let resized = Resampling.resize(image, box: box, width: 56, height: 56)
    let first = preparation.values(prepared)[window.isMirrored ? 55 : 0]
    #expect(first == (2 * (Float(resized.pixels[0]) / 255) - 1) * 1024)
  }
}
