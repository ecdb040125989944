"""Prints, as JSON, what TensorBoard's reader finds in a folder of event files: python read.py FOLDER"""

import base64
import glob
import json
import sys

from tensorboard import data_compat
from tensorboard.backend.event_processing import event_accumulator, event_file_loader
from tensorboard.util import tensor_util

folder = sys.argv[1]
found = event_accumulator.EventAccumulator(folder, size_guidance=dict.fromkeys(event_accumulator.DEFAULT_SIZE_GUIDANCE, 0))
found.Reload()
tags = found.Tags()

# A histogram as it is in the file, and as TensorBoard draws it.
shown = {}
for path in sorted(glob.glob(folder + "/events.out.tfevents.*")):
    for event in event_file_loader.LegacyEventFileLoader(path).Load():
        for value in event.summary.value:
            if value.HasField("histo"):
                buckets = tensor_util.make_ndarray(data_compat.migrate_value(value).tensor)
                shown[value.tag, event.step] = buckets.tolist()

json.dump(
    {
        "Scalars": {
            tag: [{"Step": e.step, "Time": e.wall_time, "Value": str(float(e.value))} for e in found.Scalars(tag)]
            for tag in tags["scalars"]
        },
        "Histograms": {
            tag: [
                {
                    "Step": e.step,
                    "Least": e.histogram_value.min,
                    "Most": e.histogram_value.max,
                    "Num": e.histogram_value.num,
                    "Sum": e.histogram_value.sum,
                    "Squares": e.histogram_value.sum_squares,
                    "Limits": e.histogram_value.bucket_limit,
                    "Counts": e.histogram_value.bucket,
                    "Shown": shown[tag, e.step],
                }
                for e in found.Histograms(tag)
            ]
            for tag in tags["histograms"]
        },
        "Images": {
            tag: [
                {"Step": e.step, "Width": e.width, "Height": e.height, "PNG": base64.b64encode(e.encoded_image_string).decode()}
                for e in found.Images(tag)
            ]
            for tag in tags["images"]
        },
        "Texts": {
            tag: [{"Step": e.step, "Text": tensor_util.make_ndarray(e.tensor_proto).item().decode()} for e in found.Tensors(tag)]
            for tag in tags["tensors"]
            if found.SummaryMetadata(tag).plugin_data.plugin_name == "text"
        },
    },
    sys.stdout,
)
