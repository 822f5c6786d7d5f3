import Tensors
import Testing

@Suite struct PreprocessingTests {
  @Test func `another size keeps the geometry`() {
    #expect(Preprocessing.imageNet().scaled(to: 448) == .imageNet(imageSize: 448))
    #expect(Preprocessing.torchXRayVision().scaled(to: 512) == .torchXRayVision(imageSize: 512))
    #expect(Preprocessing.torchXRayVision(imageSize: 512).imageSize == 512)
  }

  @Test func `torchxrayvision's numbers have the bits of its own formula`() {
    let preprocessing = Preprocessing.torchXRayVision()
    for level in 0...255 {
      let share = Float(level) / 255
      let ours = (share - preprocessing.mean[0]) / preprocessing.deviation[0]
      #expect(ours.bitPattern == ((2 * share - 1) * 1024).bitPattern)
    }
  }

  @Test func `the numbers of one channel serve three, and three that agree serve one`() {
    let one = Preprocessing.torchXRayVision()
    let three = Preprocessing(
      geometry: one.geometry, mean: [0.5, 0.5, 0.5], deviation: [1 / 2048, 1 / 2048, 1 / 2048])
    #expect(one.withChannels(3) == three)
    #expect(three.withChannels(1) == one)
    #expect(one.withChannels(1) == one)
    #expect(Preprocessing.imageNet().withChannels(3) == .imageNet())
  }

  @Test func `ImageNet's three channels are no single one`() {
    #expect(Preprocessing.imageNet().withChannels(1) == nil)
    var sameMeans = Preprocessing.imageNet()
    sameMeans.mean = [0.5, 0.5, 0.5]
    #expect(sameMeans.withChannels(1) == nil)
  }
}
