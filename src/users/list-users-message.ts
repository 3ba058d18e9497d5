import { getOption } from "@bufbuild/protobuf";
import { invalid } from "../errors.ts";
import { Access, field_access } from "../gen/muster/v1/access_pb.ts";
import { UserSchema } from "../gen/muster/v1/user_pb.ts";
import { type ListUsersRequest, Operator } from "../gen/muster/v1/user_service_pb.ts";
import type { FilterOperator } from "./list-fields.ts";
import type { ListQuery, ListReader } from "./list-users.ts";

/** What a request asks for. */
export const listQueryOf = ({ filters, ...query }: ListUsersRequest): ListQuery => ({
  ...query,
  filters: filters.map(({ field, operator, values }, i) => ({ field, operator: operatorOf(operator, i), values })),
});

const { UNSPECIFIED: _, ...OPERATORS } = Operator;

function operatorOf(operator: Operator, index: number): FilterOperator {
  const name = (Object.keys(OPERATORS) as FilterOperator[]).find((it) => OPERATORS[it] === operator);
  if (!name) throw invalid(`filters[${index}].operator`, "must be one of the operators");
  return name;
}

/** What a user may see of the others, by the declarations of User. */
export const OTHERS: ListReader = {
  mayRead: (name) => {
    const field = UserSchema.fields.find((it) => it.name === name);
    return field !== undefined && getOption(field, field_access).read.includes(Access.USER);
  },
};
