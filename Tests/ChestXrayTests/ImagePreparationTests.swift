import Platform
import Tensors
import Testing

@testable import ChestXray

/// Expected values: torchvision 0.29 on Pillow 13 (`Tools/make-fixtures/images.py`).
@Suite struct ImagePreparationTests {
  static func preparation(_ geometry: Preprocessing.Geometry) throws -> ImagePreparation {
    try ImagePreparation(
      Preprocessing(
        geometry: geometry, mean: Preprocessing.imageNetMean, deviation: Preprocessing.imageNetDeviation))
  }

  @Test(
    "every value equals torchvision's, bit for bit",
    arguments: [
      ("wide", "crop-36-28", .centerCrop(resize: 36, crop: 28)),
      ("wide", "crop-20-37", .centerCrop(resize: 20, crop: 37)),
      ("tall", "crop-36-31", .centerCrop(resize: 36, crop: 31)), ("tall", "resize-24", .resize(size: 24)),
      ("rgba8", "crop-36-28", .centerCrop(resize: 36, crop: 28)),
    ] as [(String, String, Preprocessing.Geometry)])
  func equalsTorchvision(image: String, label: String, geometry: Preprocessing.Geometry) throws {
    let preparation = try Self.preparation(geometry)
    let values = preparation.values(preparation.prepare(try radiograph("\(image).png")))
    let expected = try floatFixture("\(image).\(label).f32")
    #expect(values.map(\.bitPattern) == expected.map(\.bitPattern))
  }

  @Test("a network of one channel is given Pillow's luma")
  func luma() throws {
    let preparation = try ImagePreparation(
      Preprocessing(geometry: .resize(size: 24), mean: [0.5], deviation: [1.0 / 2048]))
    let prepared = preparation.prepare(try radiograph("rgb8.png"))
    #expect(preparation.values(prepared) == (try floatFixture("rgb8.luma-24.f32")))
  }

  @Test("the crop window is in the pixels of the original image")
  func window() throws {
    let square = Radiograph(width: 1024, height: 1024, channels: 1, pixels: [UInt8](repeating: 9, count: 1 << 20))
    let crop = try ImagePreparation(.imageNet()).prepare(square).window
    #expect(crop == CropWindow(x: 64, y: 64, width: 896, height: 896))
    let whole = try Self.preparation(.resize(size: 224)).prepare(square).window
    #expect(whole == CropWindow(x: 0, y: 0, width: 1024, height: 1024))
    // 97 × 128 → 36 × 47 (cut from 47.5); the crop of 28 begins at column 4 and row 10 (9.5 goes to the even 10).
    let tall = try Self.preparation(.centerCrop(resize: 36, crop: 28)).prepare(radiograph("tall.png")).window
    #expect(abs(tall.x - 4 * 97 / 36) < 1e-12 && abs(tall.y - 10 * 128 / 47.0) < 1e-12)
    #expect(abs(tall.width - 28 * 97 / 36.0) < 1e-12 && abs(tall.height - 28 * 128 / 47.0) < 1e-12)
    // 128 × 97 → 26 × 20 under a crop of 37: the window reaches beyond the image on all sides.
    let padded = try Self.preparation(.centerCrop(resize: 20, crop: 37)).prepare(radiograph("wide.png")).window
    #expect(padded.x < 0 && padded.y < 0 && padded.x + padded.width > 128 && padded.y + padded.height > 97)
  }

  @Test("a mirrored image is the image, columns from right to left")
  func mirrored() throws {
    let image = try radiograph("tall.png")
    let preparation = try Self.preparation(.centerCrop(resize: 36, crop: 28))
    let plain = preparation.values(preparation.prepare(image))
    var seen = Set<Bool>()
    for sample in 0..<16 {
      var random = CounterRandom(seed: 1, purpose: .augmentation, epoch: 0, sample: sample)
      let prepared = preparation.prepare(image, augmentation: .flip, random: &random)
      let expected =
        prepared.window.isMirrored
        ? (0..<plain.count).map { plain[$0 / 28 * 28 + 27 - $0 % 28] } : plain
      #expect(preparation.values(prepared) == expected)
      seen.insert(prepared.window.isMirrored)
    }
    #expect(seen == [true, false])
  }

  @Test("a random part is cut out and resized to the network's square")
  func randomPart() throws {
    let image = try radiograph("square.png")
    let preparation = try Self.preparation(.centerCrop(resize: 64, crop: 56))
    var random = CounterRandom(seed: 5, purpose: .augmentation, epoch: 2, sample: 3)
    let prepared = preparation.prepare(image, augmentation: .cropFlip(), random: &random)
    let window = prepared.window
    let box = PixelBox(x: Int(window.x), y: Int(window.y), width: Int(window.width), height: Int(window.height))
    #expect(
      CropWindow(
        x: Double(box.x), y: Double(box.y), width: Double(box.width), height: Double(box.height),
        isMirrored: window.isMirrored) == window)
    let resized = Resampling.resize(image, box: box, width: 56, height: 56)
    let column = window.isMirrored ? 55 : 0
    let values = preparation.values(prepared)
    #expect(values[column] == (Float(resized.pixels[0]) / 255 - 0.485) / 0.229)
    #expect(values[2 * 56 * 56 + column] == (Float(resized.pixels[0]) / 255 - 0.406) / 0.225)
  }

  @Test("preprocessing that fits no image is an error")
  func unusable() {
    let cases = [
      Preprocessing(geometry: .resize(size: 8), mean: [0, 0], deviation: [1, 1]),
      Preprocessing(geometry: .resize(size: 0), mean: [0], deviation: [1]), .torchXRayVision(imageSize: 0),
      .torchXRayVision(imageSize: 1 << 20),
      Preprocessing(geometry: .centerCrop(resize: 8, crop: 1 << 20), mean: [0], deviation: [1]),
      Preprocessing(geometry: .resize(size: 8), mean: [0], deviation: [0]),
      Preprocessing(geometry: .resize(size: 8), mean: [.nan], deviation: [1]),
    ]
    for preprocessing in cases {
      let error = #expect(throws: ChestXrayError.self) { try ImagePreparation(preprocessing) }
      #expect(error?.diagnosis.exit == .badData)
    }
  }
}
