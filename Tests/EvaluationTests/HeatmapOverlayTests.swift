import ChestXray
import Testing

@testable import Evaluation

@Suite struct HeatmapOverlayTests {
  /// Rows of matplotlib 3.10's `inferno`, times 255.
  @Test func `colours are matplotlib's inferno, but for what interpolation rounds`() {
    let recorded: [(UInt8, [Int])] = [
      (0, [0, 0, 4]), (10, [5, 4, 23]), (77, [108, 24, 110]), (100, [144, 37, 104]), (128, [188, 55, 84]),
      (201, [252, 159, 7]), (255, [252, 255, 164]),
    ]
    for (value, expected) in recorded {
      let color = ColorMap.color(value)
      for (found, expected) in zip([color.red, color.green, color.blue], expected) {
        #expect(abs(Int(found) - expected) <= 2, "\(value)")
      }
    }
  }

  private func heat(_ samples: (Int, Int) -> Float, width: Int, height: Int) -> HeatmapImage {
    let map = ClassActivationMap(
      height: height, width: width, values: (0..<width * height).map { samples($0 % width, $0 / width) }, bias: 0,
      logit: 0)
    let whole = ImageView(
      width: width, height: height, window: CropWindow(x: 0, y: 0, width: Double(width), height: Double(height)))
    return HeatmapImage(map, view: whole, input: 1, size: .original, scale: .map, depth: 8)
  }

  @Test func `what is cold is the radiograph, what is hot mostly the largest value's colour`() {
    let radiograph = Radiograph(width: 40, height: 30, channels: 1, pixels: (0..<1200).map { UInt8($0 % 251) })
    let overlay = HeatmapOverlay.draw(heat({ x, _ in x < 20 ? 0 : 1 }, width: 40, height: 30), over: radiograph)
    #expect((overlay.width, overlay.height, overlay.channels) == (40, 30, 3))
    for y in 0..<30 {
      for x in 0..<20 {
        let gray = radiograph.pixels[y * 40 + x]
        #expect(Array(overlay.pixels[3 * (y * 40 + x)..<3 * (y * 40 + x) + 3]) == [gray, gray, gray])
      }
      let gray = Double(radiograph.pixels[y * 40 + 30])
      let red = Double(overlay.pixels[3 * (y * 40 + 30)])
      #expect(abs(red - (0.35 * gray + 0.65 * 252)) <= 1.5)
    }
  }

  @Test func `a bar at the right shows the colours, the largest at the top`() {
    let radiograph = Radiograph(width: 400, height: 300, channels: 1, pixels: [UInt8](repeating: 7, count: 120_000))
    let overlay = HeatmapOverlay.draw(heat({ _, _ in 0 }, width: 400, height: 300), over: radiograph)
    // Ten pixels wide and a hundred high, eight from the right border.
    func pixel(_ x: Int, _ y: Int) -> [UInt8] { Array(overlay.pixels[3 * (y * 400 + x)..<3 * (y * 400 + x) + 3]) }
    #expect(pixel(382, 100) == [255, 255, 255] && pixel(391, 199) == [255, 255, 255])
    #expect(pixel(381, 150) == [7, 7, 7] && pixel(392, 150) == [7, 7, 7] && pixel(385, 99) == [7, 7, 7])
    #expect(pixel(386, 101)[0] > 240 && pixel(386, 101)[1] > 240)
    #expect(pixel(386, 198)[0] < 16 && pixel(386, 198)[1] < 16)
    #expect(Int(pixel(386, 130)[1]) > Int(pixel(386, 150)[1]))
  }

  @Test func `peaks on the border are told of where there are many`() {
    let flat = ClassActivationMap(height: 1, width: 1, values: [0], bias: 0, logit: 0)
    let pixel = ImageView(width: 1, height: 1, window: CropWindow(x: 0, y: 0, width: 1, height: 1))
    func warning(onBorder: Int, of count: Int, masked: Int = 0) -> String? {
      var peaks = BorderPeaks()
      for number in 0..<count {
        peaks.add(
          Heatmap(
            image: "a", finding: "b", probability: 0, logit: 0, bias: 0,
            field: ActivationField(flat, view: pixel), crops: 1,
            maskedBorder: masked, window: CropWindow(x: 0, y: 0, width: 7, height: 7),
            isPeakOnBorder: number < onBorder, borderShare: 24.0 / 49, path: "", overlayPath: nil))
      }
      return peaks.warning
    }
    // 49 % by chance: more than 74.5 %.
    #expect(warning(onBorder: 15, of: 20)?.contains("15 of 20 peaks") == true)
    #expect(warning(onBorder: 15, of: 20)?.contains("49 %") == true)
    #expect(warning(onBorder: 14, of: 20) == nil)
    #expect(warning(onBorder: 9, of: 9) == nil)
    #expect(warning(onBorder: 20, of: 20, masked: 1) == nil)
  }
}
