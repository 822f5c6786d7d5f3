import CKernels
import Platform
import Testing

@testable import ChestXray

/// Expected pixels: Pillow 13 (`Tools/make-fixtures/images.py`).
@Suite struct ResamplingTests {
  struct Case: CustomTestStringConvertible, Sendable {
    var image: String
    var box: PixelBox?
    var width: Int
    var height: Int

    init(_ image: String, _ box: (Int, Int, Int, Int)? = nil, to size: (Int, Int)) {
      self.image = image
      self.box = box.map { PixelBox(x: $0.0, y: $0.1, width: $0.2, height: $0.3) }
      (width, height) = size
    }

    /// The name of its fixture.
    var testDescription: String {
      let part = box.map { ".\($0.x)_\($0.y)_\($0.width)_\($0.height)" } ?? ""
      return "\(image)\(part).\(width)x\(height).resized.u8"
    }
  }

  static let cases = [
    Case("wide", to: (56, 56)), Case("wide", to: (64, 48)), Case("wide", to: (150, 97)), Case("wide", to: (128, 30)),
    Case("wide", to: (1, 1)), Case("tall", to: (56, 56)), Case("tall", to: (90, 40)), Case("tall", to: (97, 64)),
    Case("tall", to: (48, 128)), Case("tall", to: (101, 140)), Case("square", to: (32, 32)),
    Case("square", (3, 5, 100, 120), to: (80, 64)), Case("square", (3, 5, 100, 121), to: (80, 81)),
    Case("square", (3, 5, 100, 121), to: (80, 80)), Case("square", (17, 0, 113, 41), to: (56, 56)),
    Case("square", (60, 61, 11, 12), to: (56, 56)), Case("rgb8", to: (40, 13)),
    Case("rgb8", (5, 7, 55, 23), to: (28, 28)),
  ]

  @Test("every pixel equals Pillow's, at every level", arguments: cases)
  func equalsPillow(_ resize: Case) throws {
    let image = try radiograph("\(resize.image).png")
    let box = resize.box ?? PixelBox(x: 0, y: 0, width: image.width, height: image.height)
    let expected = try imageFixture(resize.testDescription)
    for level in PixelLevel.all {
      let resized = Resampling.resize(
        image, box: box, width: resize.width, height: resize.height, level: level.value)
      #expect(resized.pixels == expected, "\(level.testDescription)")
    }
  }

  @Test("all levels give the same pixels, of gray and of colours, of any size", arguments: PixelLevel.all)
  func levels(level: PixelLevel) {
    for sample in 0..<300 {
      var random = CounterRandom(seed: 1, purpose: .shuffle, sample: sample)
      let (width, height, channels) = (1 + random.below(90), 1 + random.below(90), sample % 3 == 0 ? 3 : 1)
      let pixels = (0..<width * height * channels).map { _ in UInt8(random.below(256)) }
      let image = Radiograph(width: width, height: height, channels: channels, pixels: pixels)
      let (x, y) = (random.below(width), random.below(height))
      let box = PixelBox(x: x, y: y, width: 1 + random.below(width - x), height: 1 + random.below(height - y))
      let (toWidth, toHeight) = (1 + random.below(60), 1 + random.below(60))
      let resize = { (level: ck_level) in
        Resampling.resize(image, box: box, width: toWidth, height: toHeight, level: level)
      }
      #expect(resize(level.value) == resize(CK_REFERENCE), "sample \(sample)")
    }
  }

  @Test("a mirrored result is the result, columns from right to left", arguments: ["square", "rgb8"])
  func mirrored(name: String) throws {
    let image = try radiograph("\(name).png")
    let box = PixelBox(x: 2, y: 1, width: image.width - 5, height: image.height - 1)
    // The second size takes the vertical pass first.
    for (width, height) in [(40, 50), (150, 9)] {
      let part = PixelBox(x: 5, y: 2, width: 30, height: 6)
      let plain = Resampling.resize(image, box: box, width: width, height: height, part: part)
      let mirrored = Resampling.resize(image, box: box, width: width, height: height, part: part, mirrored: true)
      for y in 0..<part.height {
        for x in 0..<part.width {
          let (here, there) = ((y * part.width + x) * image.channels, ((y + 1) * part.width - 1 - x) * image.channels)
          let pixel = mirrored.pixels[here..<here + image.channels]
          #expect(pixel.elementsEqual(plain.pixels[there..<there + image.channels]))
        }
      }
    }
  }

  @Test("the vertical pass is first where more rows go than twice the columns")
  func order() {
    let box = PixelBox(x: 0, y: 0, width: 100, height: 121)
    #expect(!Resampling.isVerticalFirst(from: box, width: 80, height: 81))
    #expect(Resampling.isVerticalFirst(from: box, width: 80, height: 80))
    // An enlargement of the columns leaves less than nothing to exceed, but rows have to go.
    #expect(Resampling.isVerticalFirst(from: box, width: 200, height: 120))
    #expect(!Resampling.isVerticalFirst(from: box, width: 200, height: 121))
    #expect(Resampling.isVerticalFirst(from: box, width: 100, height: 120))
  }

  @Test("white stays white and black stays black, at the largest reduction too", arguments: [0, 255] as [UInt8])
  func extremes(value: UInt8) {
    let side = Radiograph.largestSide
    let row = Radiograph(width: side, height: 1, channels: 1, pixels: [UInt8](repeating: value, count: side))
    let one = Resampling.resize(row, box: PixelBox(x: 0, y: 0, width: side, height: 1), width: 1, height: 1)
    #expect(one.pixels == [value])
    let pixel = Radiograph(width: 1, height: 1, channels: 1, pixels: [value])
    let many = Resampling.resize(pixel, box: PixelBox(x: 0, y: 0, width: 1, height: 1), width: 33, height: 7)
    #expect(many.pixels == [UInt8](repeating: value, count: 33 * 7))
  }

  @Test("a part of the result is the same as in the whole", arguments: ["wide", "tall", "rgb8"])
  func part(name: String) throws {
    let image = try radiograph("\(name).png")
    let box = PixelBox(x: 2, y: 1, width: image.width - 5, height: image.height - 1)
    // The second size takes the vertical pass first.
    for (width, height) in [(40, 50), (150, 9)] {
      let whole = Resampling.resize(image, box: box, width: width, height: height)
      let part = PixelBox(x: 7, y: 3, width: 21, height: 5)
      let alone = Resampling.resize(image, box: box, width: width, height: height, part: part)
      let values = part.width * image.channels
      for y in 0..<part.height {
        let start = ((part.y + y) * width + part.x) * image.channels
        #expect(Array(alone.pixels[y * values..<(y + 1) * values]) == Array(whole.pixels[start..<start + values]))
      }
    }
  }

  @Test("a strip is cropped without making the whole of its long side")
  func strip() throws {
    let side = Radiograph.largestSide
    let strip = Radiograph(width: side, height: 1, channels: 1, pixels: (0..<side).map { UInt8($0 >> 6) })
    let preparation = try ImagePreparation(.imageNet())
    // The resized strip would be 4 194 304 × 256.
    #expect(preparation.prepare(strip).window == CropWindow(x: 8191.5625, y: 0.0625, width: 0.875, height: 0.875))
  }
}
