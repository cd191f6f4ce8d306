/** The 80 classes of COCO, in the order in which detectors of the YOLO family number them. */
export const COCO: readonly string[] =
  `person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,parking meter,bench,
bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,suitcase,frisbee,skis,snowboard,
sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,wine glass,cup,fork,knife,spoon,
bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,potted plant,bed,dining table,
toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,refrigerator,book,clock,vase,scissors,
teddy bear,hair drier,toothbrush`
    .split(',')
    .map((name) => name.trim())

/** The same classes by the ids of COCO's own files, 1 to 90, which DETR keeps; ids without a class are "N/A". */
export const COCO_IDS: Readonly<Record<string, string>> = Object.fromEntries(
  [...gaps(91, [0, 12, 26, 29, 30, 45, 66, 68, 69, 71, 83])].map((name, id) => [String(id), name]),
)

function* gaps(count: number, missing: readonly number[]): Generator<string> {
  const names = COCO.values()
  for (let id = 0; id < count; id++) yield missing.includes(id) ? 'N/A' : (names.next().value ?? 'N/A')
}
