import Tensors
import Testing

@testable import ChestXray

@Suite struct TenCropTests {
  private func preparation(_ geometry: Preprocessing.Geometry) throws -> ImagePreparation {
    try ImagePreparation(
      Preprocessing(
        geometry: geometry, mean: Preprocessing.imageNetMean, deviation: Preprocessing.imageNetDeviation))
  }

  @Test(arguments: [("tall", 24, 17), ("rgb8", 14, 11)])
  func `ten crops have the bits of torchvision's TenCrop`(image: String, resize: Int, crop: Int) throws {
    let preparation = try preparation(.centerCrop(resize: resize, crop: crop))
    let found = preparation.crops(of: try radiograph(image + ".png"), count: 10).flatMap(preparation.values)
    let expected = try floatFixture("\(image).tencrop-\(resize)-\(crop).f32")
    #expect(found.map(\.bitPattern) == expected.map(\.bitPattern))
    // `FiveCrop` is `TenCrop`'s first half.
    let five = preparation.crops(of: try radiograph(image + ".png"), count: 5).flatMap(preparation.values)
    #expect(five == Array(found[..<(found.count / 2)]))
  }

  @Test func `the windows are those of the crops, in the pixels of the image`() throws {
    let image = Radiograph(width: 1024, height: 2048, channels: 1, pixels: [UInt8](repeating: 9, count: 2 << 20))
    let windows = try preparation(.centerCrop(resize: 256, crop: 224)).crops(of: image, count: 10).map(\.window)
    let (right, bottom, size) = (128.0, 1152.0, 896.0)
    let corners = [(0, 0), (right, 0), (0, bottom), (right, bottom), (64, 576)]
    let mirrored = [(right, 0), (0, 0), (right, bottom), (0, bottom), (64, 576)]
    let expected =
      corners.map { CropWindow(x: $0, y: $1, width: size, height: size) }
      + mirrored.map { CropWindow(x: $0, y: $1, width: size, height: size, isMirrored: true) }
    #expect(windows == expected)
  }

  @Test func `a preprocessing without room for crops is refused`() throws {
    try preparation(.centerCrop(resize: 16, crop: 16)).check(.tenCrop)
    for geometry in [Preprocessing.Geometry.centerCrop(resize: 16, crop: 17), .resize(size: 16)] {
      let preparation = try preparation(geometry)
      #expect(throws: ChestXrayError.self) { try preparation.check(.tenCrop) }
      #expect(throws: ChestXrayError.self) { try preparation.check(.fiveCrop) }
      try preparation.check(.cropFlip())
    }
  }
}
