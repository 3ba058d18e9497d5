import type { DescService } from "@bufbuild/protobuf";
import { Health } from "../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../gen/grpc/reflection/v1alpha/reflection_pb.ts";

/** The services of the protocol itself. They say nothing of any project, carry no declaration, and are open to everyone. */
export const OPEN_SERVICES: readonly DescService[] = [Health, ServerReflection, ServerReflectionAlpha];
